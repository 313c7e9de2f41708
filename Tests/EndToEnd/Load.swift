import Curl
import EventLog
import JSON
import Postgres
import Synchronization
import TestSupport
import Testing

/// One ledger, under the URLs of its nodes.
struct Target: Sendable {
    var urls: [String]
    /// None where it is served without keys.
    var key: String?

    var headers: [(String, String)] { key.map { [("Authorization", "Bearer \($0)")] } ?? [] }

    private func send(_ method: String, _ path: String, body: [UInt8]? = nil) throws -> Response {
        try Transfer().perform(
            Request(method: method, url: urls[0] + path, headers: headers, body: body))
    }

    func createExperiment() throws {
        let document = """
            {"schemaVersion":1,"kind":"experiment","metadata":{"id":"HERO","status":"active"},
             "spec":{"variants":[{"id":"A"},{"id":"B"}],
              "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},
               {"variant":"B","split":0.5}]}]}}
            """
        let response = try send("PUT", "/v1/resources", body: Array(document.utf8))
        try #require(response.status == 200)
    }

    /// All lines of the log, by way of the feed.
    func events() throws -> [StoredEvent] {
        var events: [StoredEvent] = []
        while true {
            let after = events.last?.position ?? 0
            let response = try send("GET", "/v1/events?after=\(after)&limit=10000")
            let lines = response.body.split(separator: UInt8(ascii: "\n"))
            if lines.isEmpty { return events }
            for line in lines { events.append(try StoredEvent(line: Array(line))) }
        }
    }

    /// What has to hold after anything: what was acknowledged is there, once, and nothing is amiss.
    func check(
        _ acknowledged: [String: String], isAll: Bool = false, _ seed: UInt64
    ) throws {
        let events = try events()
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
        let head = try JSONValue.parse(send("GET", "/v1/log").body)
        #expect(head["root"]?.string == tree.root.description)
    }
}

/// Clients that ask for one new subject after the other, and go on asking until they are answered.
final class Load: Sendable {
    private let target: Target
    private let stopped = Atomic<Bool>(false)
    private let acknowledged = Mutex<[String: String]>([:])
    private let progress = Signal()
    private let threads: Mutex<[OSThread]> = Mutex([])

    init(_ target: Target, clients: Int, retries: Bool = true) {
        self.target = target
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
        let url = target.urls[client % target.urls.count]
        var number = 0
        while !stopped.load(ordering: .relaxed) {
            let subject = "client-\(client)-\(number)"
            let variant = variant(of: subject, url, transfer)
            guard variant != nil || retries else { return }
            if let variant {
                acknowledged.withLock { $0[subject] = variant }
                progress.wake()
                number += 1
            }
        }
    }

    private func variant(
        of subject: String, _ url: String, _ transfer: Transfer
    ) -> String? {
        let request = Request(
            method: "POST", url: "\(url)/experiment-assignments",
            headers: [("Idempotency-Key", subject)] + target.headers,
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
        let deadline = ContinuousClock.now + .seconds(90)
        while count < target {
            guard ContinuousClock.now < deadline else {
                throw LedgerProcess.Failure(description: "no progress in a minute and a half")
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
