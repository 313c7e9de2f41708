import Curl
import EventLog
import Foundation
import TestSupport
import Testing

/// A server of the real binary, and the files that its users keep of it.
private struct ProvenLedger {
    let directory: String
    let server: LedgerProcess

    init() throws {
        directory = try temporaryDirectory()
        server = try LedgerProcess.serve(
            dataDirectory: directory + "/data", flags: ["--log-name", "example.com/ledger"])
    }

    func file(_ name: String) -> String { "\(directory)/\(name)" }

    func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        try LedgerProcess.run(arguments, environment: ["LEDGER_URL": server.url])
    }

    /// Keeps what the server answers in a file.
    func keep(_ path: String, as name: String) throws {
        let response = try Transfer().perform(Request(method: "GET", url: server.url + path))
        #expect(response.status == 200)
        try Data(response.body).write(to: URL(filePath: file(name)))
    }

    func assign(_ subjects: Range<Int>) throws {
        let names = subjects.map { "\"user_\($0)\"" }.joined(separator: ",")
        let response = try Transfer().perform(
            Request(
                method: "POST", url: server.url + "/v1/experiments/HERO/assignments",
                headers: [("Content-Type", "application/json")],
                body: Array("{\"subjects\":[\(names)]}".utf8)))
        #expect(response.status == 200)
    }

    func change(_ name: String, _ old: String, _ new: String) throws {
        let text = try String(contentsOfFile: file(name), encoding: .utf8)
        #expect(text.contains(old), "\(text)")
        try text.replacing(old, with: new, maxReplacements: 1).write(
            toFile: file("changed"), atomically: false, encoding: .utf8)
    }
}

@Suite(.timeLimit(.minutes(10))) struct ProofCommandTests {
    private static let document = """
        {"schemaVersion":1,"kind":"experiment",
         "metadata":{"id":"HERO","name":"Hero","status":"active"},
         "spec":{"hypothesis":"\u{DC}bung \\"quoted\\"","variants":[{"id":"A","isControl":true},{"id":"B"}],
           "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},{"variant":"B","split":0.5}]}]}}
        """

    /// The whole way: what the commands write is checked by a program that knows the page alone.
    @Test func whatIsProvenHoldsForAProgramWrittenFromTheDescription() async throws {
        try await onThread {
            let ledger = try ProvenLedger()
            defer {
                ledger.server.kill(SIGKILL)
                ledger.server.wait()
                removeTree(ledger.directory)
            }
            try Self.document.write(
                toFile: ledger.file("hero.json"), atomically: false, encoding: .utf8)
            #expect(try ledger.run("apply", "-f", ledger.file("hero.json")).status == 0)
            try ledger.assign(0..<300)
            #expect(try ledger.run("checkpoint", "--output", ledger.file("old")).status == 0)
            try ledger.assign(300..<900)
            #expect(try ledger.run("checkpoint", "--output", ledger.file("new")).status == 0)
            try ledger.keep("/v1/log/key", as: "vkey")
            let sizes = try ["old", "new"].map { name in
                let text = try String(contentsOfFile: ledger.file(name), encoding: .utf8)
                return try #require(text.split(separator: "\n").dropFirst().first)
            }
            try ledger.keep(
                "/v1/log/proof/consistency?from=\(sizes[0])&to=\(sizes[1])", as: "consistency")
            try ledger.keep("/v1/events?limit=10000", as: "export")
            for position in ["1", "2", "256", "257", "700", String(sizes[1])] {
                let proven = try ledger.run(
                    "proof", position, "--output", ledger.file("proof\(position)"))
                #expect(proven.status == 0, "\(proven.output)")
            }
            let early = try ledger.run(
                "proof", "5", "--checkpoint", ledger.file("old"), "--output", ledger.file("proof5"))
            #expect(early.status == 0, "\(early.output)")
            try Self.checkWithPython(ledger, proofs: ["1", "2", "5", "256", "257", "700"])
            try Self.checkWithCommands(ledger)
        }
    }

    private static func checkWithPython(_ ledger: ProvenLedger, proofs: [String]) throws {
        let script = URL(filePath: "\(#filePath)").deletingLastPathComponent()
            .appending(path: "check_log.py").path
        func check(_ files: [String]) throws -> Int32 {
            let python = Process()
            python.executableURL = URL(filePath: "/usr/bin/env")
            python.arguments = ["python3", script] + files.map { ledger.file($0) }
            let output = Pipe()
            python.standardOutput = output
            python.standardError = output
            try python.run()
            let text = try output.fileHandleForReading.readToEnd() ?? Data()
            python.waitUntilExit()
            if python.terminationStatus != 0 { print(String(decoding: text, as: UTF8.self)) }
            return python.terminationStatus
        }
        let files = ["vkey", "export", "old", "new", "consistency"]
        #expect(try check(files + proofs.map { "proof\($0)" }) == 0)
        // And it would have said so if anything did not hold.
        try ledger.change("export", "user_250", "user_25O")
        #expect(try check(["vkey", "changed", "old", "new", "consistency"]) != 0)
        try ledger.change("new", "\n90", "\n91")
        #expect(try check(["vkey", "export", "old", "changed", "consistency"]) != 0)
    }

    private static func checkWithCommands(_ ledger: ProvenLedger) throws {
        let (vkey, proof) = (ledger.file("vkey"), ledger.file("proof257"))
        let good = try ledger.run("verify-proof", proof, "--key", vkey, "--line")
        #expect(good.status == 0, "\(good.output)")
        for text in ["257", "AssignmentMade", "example.com/ledger", "{\"position\":257,"] {
            #expect(good.output.contains(text), "\(good.output)")
        }
        try ledger.change("proof257", "index 256", "index 255")
        let moved = try ledger.run("verify-proof", ledger.file("changed"), "--key", vkey)
        #expect(moved.status == 1 && moved.output.contains("proves nothing"), "\(moved.output)")
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        let other = try ledger.run("verify-proof", proof, "--key", key)
        #expect(other.status == 1 && other.output.contains("example.com/ledger"))
        let beyond = try ledger.run("proof", "100000")
        #expect(beyond.status == 1 && beyond.output.contains("beyond"), "\(beyond.output)")
        let data = ledger.file("data")
        let whole = try ledger.run(
            "verify", "--data-dir", data, "--since", ledger.file("old"), "--since", proof, "--key",
            vkey, "--against", ledger.server.url)
        #expect(whole.status == 0 && whole.output.contains("It agrees with"), "\(whole.output)")
        try ledger.change("old", "\n30", "\n29")
        let forged = try ledger.run(
            "verify", "--data-dir", data, "--since", ledger.file("changed"), "--key", vkey)
        #expect(forged.status == 1 && forged.output.contains("changed or forged"))
        let unsigned = try ledger.run(
            "verify", "--data-dir", data, "--since", ledger.file("changed"))
        #expect(unsigned.status == 1 && unsigned.output.contains("does not extend"))
    }
}
