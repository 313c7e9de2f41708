import Curl
import Glibc
import JSON
import SeededRandomness
import TestSupport
import Testing

@Suite("The commands follow and promote", .serialized, .timeLimit(.minutes(5)))
struct FollowTests {
    private static let experiment = #"""
        {"schemaVersion":1,"kind":"experiment",
         "metadata":{"id":"HERO","name":"Hero","status":"active"},
         "spec":{"hypothesis":"Better.","links":{"design":"https://example.com"},
           "variants":[{"id":"A","isControl":true},{"id":"B"}],
           "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},{"variant":"B","split":0.5}]}]}}
        """#

    private static func send(
        _ method: String, _ url: String, _ body: String? = nil
    ) throws -> (status: Int, json: JSONValue) {
        let response = try Transfer().perform(
            Request(
                method: method, url: url, body: body.map { Array($0.utf8) },
                timeoutMilliseconds: 60_000))
        return (response.status, (try? JSONValue.parse(response.body)) ?? .null)
    }

    private static func assign(_ server: LedgerProcess, _ subjects: Range<Int>) throws {
        let list = subjects.map { "\"user_\($0)\"" }.joined(separator: ",")
        let answer = try send(
            "POST", "\(server.url)/v1/experiments/HERO/assignments", #"{"subjects":[\#(list)]}"#)
        #expect(answer.status == 200)
    }

    private static func leader(_ directory: String, subjects: Int) throws -> LedgerProcess {
        let leader = try LedgerProcess.serve(dataDirectory: "\(directory)/leader")
        #expect(try send("PUT", "\(leader.url)/v1/resources", experiment).status == 200)
        for start in stride(from: 0, to: subjects, by: 5_000) {
            try assign(leader, start..<min(start + 5_000, subjects))
        }
        return leader
    }

    private static func follow(
        _ url: String, _ directory: String, _ flags: [String] = []
    ) throws -> LedgerProcess {
        try LedgerProcess.start(
            "follow",
            ["--from", url, "--data-dir", "\(directory)/copy", "--listen", "127.0.0.1:0"] + flags)
    }

    private static func position(_ server: LedgerProcess) throws -> Int64 {
        let status = try send("GET", "\(server.url)/v1/replication").json
        #expect(status["divergence"] == nil)
        return status["verifiedPosition"]?.integer ?? status["position"]?.integer ?? 0
    }

    /// Asks until a follower has got to a position.
    private static func wait(_ server: LedgerProcess, for end: Int64) throws {
        while try position(server) < end {}
    }

    private static func root(_ server: LedgerProcess) throws -> JSONValue? {
        try send("GET", "\(server.url)/v1/log").json["root"]
    }

    @Test("a follower that is killed again and again goes on, without a gap and in bounded memory")
    func kills() async throws {
        try await onThread {
            var generator = SeededGenerator()
            let directory = try temporaryDirectory()
            defer { removeTree(directory) }
            let leader = try Self.leader(directory, subjects: 60_000)
            let end = try Self.position(leader)
            var reached: Int64 = 0
            for _ in 0..<6 where reached < end {
                let follower = try Self.follow(leader.url, directory)
                let aim = Int64.random(in: reached...end, using: &generator)
                try Self.wait(follower, for: aim)
                reached = try Self.position(follower)
                follower.kill(SIGKILL)
                follower.wait()
            }
            let follower = try Self.follow(leader.url, directory)
            try Self.wait(follower, for: end)
            #expect(try Self.root(follower) == Self.root(leader))
            let metrics = try Transfer().perform(Request(url: "\(follower.url)/metrics"))
            let memory = String(decoding: metrics.body, as: UTF8.self).split(separator: "\n")
                .first { $0.hasPrefix("process_resident_memory_bytes ") }
                .flatMap { Double($0.split(separator: " ")[1]) }
            #expect(try #require(memory) < 300e6)
            for process in [follower, leader] {
                process.kill(SIGTERM)
                #expect(process.wait() == 0)
            }
            let verified = try LedgerProcess.run(["verify", "--data-dir", "\(directory)/copy"])
            #expect(verified.status == 0, "\(verified.output)")
        }
    }

    @Test("a follower is promoted and serves; what only the old leader had is shown")
    func promotion() async throws {
        try await onThread {
            let directory = try temporaryDirectory()
            defer { removeTree(directory) }
            let copy = "\(directory)/copy"
            let leader = try Self.leader(directory, subjects: 100)
            let follower = try Self.follow(leader.url, directory)
            let common = try Self.position(leader)
            try Self.wait(follower, for: common)
            let refused = try LedgerProcess.run(["serve", "--data-dir", copy])
            #expect(refused.status == 1 && refused.output.contains("ledger promote"))
            let dry = try LedgerProcess.run(["promote", "--data-dir", copy])
            #expect(dry.status == 1 && dry.output.contains("--yes"))
            let promoted = try LedgerProcess.run(["promote", "--data-dir", copy, "--yes"])
            #expect(promoted.status == 0, "\(promoted.output)")
            #expect(promoted.output.contains("Promoted at position \(common)"))
            #expect(follower.wait() == 1)
            // The old leader goes on for a while, and so does the new one.
            try Self.assign(leader, 1_000..<1_007)
            leader.kill(SIGTERM)
            leader.wait()
            let other = try LedgerProcess.run(["serve", "--data-dir", copy])
            #expect(other.status == 1 && other.output.contains("--replace-signing-key"))
            let successor = try LedgerProcess.serve(
                dataDirectory: copy, flags: ["--replace-signing-key"])
            try Self.assign(successor, 2_000..<2_003)
            #expect(try Self.position(successor) == common + 3)
            let diverged = try LedgerProcess.run([
                "follow", "--from", successor.url, "--diverged", "--data-dir",
                "\(directory)/leader",
            ])
            #expect(diverged.status == 0)
            #expect(diverged.output.contains("last event in common is at position \(common)."))
            let lines = diverged.output.split(separator: "\n").filter {
                $0.hasPrefix("{\"position")
            }
            #expect(lines.count == 7)
            let again = try LedgerProcess.run([
                "follow", "--from", successor.url, "--data-dir", "\(directory)/leader",
                "--listen", "127.0.0.1:0",
            ])
            #expect(again.status == 1 && again.output.contains("--diverged"), "\(again.output)")
            successor.kill(SIGTERM)
            successor.wait()
        }
    }
}
