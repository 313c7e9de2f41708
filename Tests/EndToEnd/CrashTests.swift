import Curl
import EventLog
import Glibc
import JSON
import Postgres
import SeededRandomness
import Synchronization
import TestSupport
import Testing

/// Clients that ask for one new subject after the other, and go on asking until they are answered.
private final class Load: Sendable {
    private let url: String
    private let stopped = Atomic<Bool>(false)
    private let acknowledged = Mutex<[String: String]>([:])
    private let progress = Signal()
    private let threads: Mutex<[OSThread]> = Mutex([])

    init(url: String, clients: Int, retries: Bool = true) {
        self.url = url
        threads.withLock { threads in
            for client in 0..<clients {
                threads.append(
                    OSThread.start(name: "client") { [self] in
                        run(client, retries: retries)
                    })
            }
        }
    }

    private func run(_ client: Int, retries: Bool) {
        let transfer = Transfer()
        var number = 0
        while !stopped.load(ordering: .relaxed) {
            let subject = "client-\(client)-\(number)"
            let variant = variant(of: subject, transfer)
            guard variant != nil || retries else { return }
            if let variant {
                acknowledged.withLock { $0[subject] = variant }
                progress.wake()
                number += 1
            }
        }
    }

    private func variant(of subject: String, _ transfer: Transfer) -> String? {
        let request = Request(
            method: "POST", url: "\(url)/experiment-assignments",
            headers: [("Idempotency-Key", subject)],
            body: Array(#"{"experiment_id":"HERO","subject_ids":["\#(subject)"]}"#.utf8),
            timeoutMilliseconds: 20_000)
        guard let response = try? transfer.perform(request), response.status == 200,
            let json = try? JSONValue.parse(response.body)
        else { return nil }
        return json["assignments"]?[subject]?.string
    }

    var count: Int { acknowledged.withLock { $0.count } }

    /// Waits until so many more answers have come.
    func waitForMore(_ number: Int) throws {
        let target = count + number
        let deadline = ContinuousClock.now + .seconds(60)
        while count < target {
            guard ContinuousClock.now < deadline else {
                throw LedgerProcess.Failure(description: "no progress in a minute")
            }
            _ = progress.wait(timeout: .seconds(1))
        }
    }

    /// Ends the clients; every subject that was answered, with its variant.
    func stop() -> [String: String] {
        stopped.store(true, ordering: .relaxed)
        for thread in threads.withLock({ $0 }) { thread.join() }
        return acknowledged.withLock { $0 }
    }
}

@Suite("The running ledger", .serialized)
struct CrashTests {
    private let directory = temporaryDirectoryOrFail()

    private static func temporaryDirectoryOrFail() -> String {
        (try? temporaryDirectory()) ?? "/tmp/ledger-end-to-end"
    }

    private func createExperiment(_ url: String) throws {
        let document = """
            {"schemaVersion":1,"kind":"experiment","metadata":{"id":"HERO","status":"active"},
             "spec":{"variants":[{"id":"A"},{"id":"B"}],
              "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},
               {"variant":"B","split":0.5}]}]}}
            """
        let response = try Transfer().perform(
            Request(method: "PUT", url: "\(url)/v1/resources", body: Array(document.utf8)))
        try #require(response.status == 200)
    }

    /// All lines of the log, by way of the feed.
    private func events(_ url: String) throws -> [StoredEvent] {
        var events: [StoredEvent] = []
        while true {
            let after = events.last?.position ?? 0
            let response = try Transfer().perform(
                Request(method: "GET", url: "\(url)/v1/events?after=\(after)&limit=10000"))
            let lines = response.body.split(separator: UInt8(ascii: "\n"))
            if lines.isEmpty { return events }
            for line in lines { events.append(try StoredEvent(line: Array(line))) }
        }
    }

    /// What has to hold after anything: what was acknowledged is there, once, and nothing is amiss.
    private func check(
        _ url: String, _ acknowledged: [String: String], isAll: Bool = false, _ seed: UInt64
    ) throws {
        let events = try events(url)
        #expect(events.map(\.position) == Array(1...Int64(events.count)), "seed \(seed)")
        var recorded: [String: String] = [:]
        var tree = MerkleFrontier()
        for event in events {
            tree.append(MerkleFrontier.leaf(event.line))
            guard case .assignmentMade(let made) = try event.decoded() else { continue }
            let earlier = recorded.updateValue(made.variant.text, forKey: made.subject)
            #expect(earlier == nil, "\(made.subject) twice, seed \(seed)")
        }
        for (subject, variant) in acknowledged where recorded[subject] != variant {
            Issue.record(
                "\(subject) is \(recorded[subject] ?? "lost"), not \(variant); seed \(seed)")
        }
        if isAll { #expect(recorded.count == acknowledged.count, "seed \(seed)") }
        let head = try JSONValue.parse(
            Transfer().perform(Request(method: "GET", url: "\(url)/v1/log")).body)
        #expect(head["root"]?.string == tree.root.description)
    }

    private func killPostmaster() throws {
        let path = "\(directory)/postgres/postmaster.pid"
        guard let file = fopen(path, "r") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, 64, file) != nil,
            let pid = Int32(
                String(decoding: line.prefix { $0 > 32 }.map(UInt8.init), as: UTF8.self)), pid > 1
        else { return }
        kill(pid, SIGKILL)
    }

    @Test("keeps everything it acknowledged, once, through kill -9 of itself and of PostgreSQL")
    func killedAtRandom() throws {
        var generator = SeededGenerator()
        let port = freePort()
        var server = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer {
            server.kill(SIGTERM)
            server.wait()
            removeTree(directory)
        }
        try createExperiment(server.url)
        let load = Load(url: server.url, clients: 8)
        for round in 0..<6 {
            try load.waitForMore(Int.random(in: 20...400, using: &generator))
            if round % 2 == 0 {
                server.kill(SIGKILL)
                server.wait()
                server = try LedgerProcess.serve(dataDirectory: directory, port: port)
            } else {
                try killPostmaster()
            }
        }
        try load.waitForMore(200)
        try check(server.url, load.stop(), generator.seed)
        let verified = try LedgerProcess.run(["verify", "--data-dir", directory])
        #expect(verified.status == 0, "\(verified.output)")
        let rebuilt = try LedgerProcess.run(["rebuild", "--verify", "--data-dir", directory])
        #expect(rebuilt.status == 0, "\(rebuilt.output)")
    }

    @Test("answers on SIGTERM what it accepted, and records nothing else")
    func gracefulShutdown() throws {
        let port = freePort()
        let server = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer { removeTree(directory) }
        try createExperiment(server.url)
        let load = Load(url: server.url, clients: 8, retries: false)
        try load.waitForMore(300)
        server.kill(SIGTERM)
        #expect(server.wait() == 0)
        let acknowledged = load.stop()
        let again = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer {
            again.kill(SIGTERM)
            again.wait()
        }
        try check(again.url, acknowledged, isAll: true, 0)
    }
}
