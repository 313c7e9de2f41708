import Curl
import EventLog
import FaultyReceiver
import Glibc
import JSON
import Postgres
import SeededRandomness
import Synchronization
import TestSupport
import Testing

/// Assigns and scores subjects until it is told to stop, and repeats what was not answered.
private final class Writer: Sendable {
    private let url: String
    private let stopped = Atomic<Bool>(false)
    private let rounds = Atomic<Int>(0)
    private let progress = Signal()
    private let thread: Mutex<OSThread?> = Mutex(nil)

    private static let subjects = 10

    init(url: String) {
        self.url = url
        thread.withLock { $0 = OSThread.start(name: "writer") { [self] in run() } }
    }

    private func run() {
        let transfer = Transfer()
        while !stopped.load(ordering: .relaxed) {
            let round = rounds.load(ordering: .relaxed)
            let subjects = (0..<Self.subjects).map { "r\(round)-\($0)" }
            let names = subjects.map { "\"\($0)\"" }.joined(separator: ",")
            let scores = subjects.map {
                #"{"experiment":"HERO","subject":"\#($0)","name":"revenue","value":\#(round)}"#
            }
            guard
                post(
                    "/experiment-assignments",
                    #"{"experiment_id":"HERO","subject_ids":[\#(names)]}"#, "a\(round)", transfer),
                post("/v1/scores", "[\(scores.joined(separator: ","))]", "s\(round)", transfer)
            else { continue }
            rounds.add(1, ordering: .relaxed)
            progress.wake()
        }
    }

    private func post(
        _ path: String, _ body: String, _ key: String, _ transfer: Transfer
    ) -> Bool {
        let request = Request(
            method: "POST", url: url + path, headers: [("Idempotency-Key", key)],
            body: Array(body.utf8), timeoutMilliseconds: 20_000)
        return (try? transfer.perform(request)).map { (200..<300).contains($0.status) } ?? false
    }

    func waitForMore(_ number: Int) throws {
        let target = rounds.load(ordering: .relaxed) + number
        let deadline = ContinuousClock.now + .seconds(60)
        while rounds.load(ordering: .relaxed) < target {
            guard ContinuousClock.now < deadline else {
                throw LedgerProcess.Failure(description: "no progress in a minute")
            }
            _ = progress.wait(timeout: .seconds(1))
        }
    }

    func stop() {
        stopped.store(true, ordering: .relaxed)
        thread.withLock { $0 }?.join()
    }
}

@Suite("Webhooks of the running ledger", .serialized)
struct WebhookCrashTests {
    private static let endpoints = [
        (id: "single", encoder: "standard-webhooks"), (id: "batch", encoder: "ndjson"),
    ]

    private func send(_ method: String, _ url: String, _ body: String? = nil) throws -> Response {
        let response = try Transfer().perform(
            Request(method: method, url: url, body: body.map { Array($0.utf8) }))
        try #require((200..<300).contains(response.status), "\(response)")
        return response
    }

    private func events(_ url: String) throws -> [StoredEvent] {
        var events: [StoredEvent] = []
        while true {
            let after = events.last?.position ?? 0
            let lines = try send("GET", "\(url)/v1/events?after=\(after)&limit=10000").body
                .split(separator: UInt8(ascii: "\n"))
            if lines.isEmpty { return events }
            for line in lines { events.append(try StoredEvent(line: Array(line))) }
        }
    }

    private func prepare(_ url: String, _ receiver: FaultyReceiver) throws {
        _ = try send(
            "PUT", "\(url)/v1/resources",
            """
            {"schemaVersion":1,"kind":"experiment","metadata":{"id":"HERO","status":"active"},
             "spec":{"variants":[{"id":"A"},{"id":"B"}],
              "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.5},
               {"variant":"B","split":0.5}]}]}}
            """)
        for (id, encoder) in Self.endpoints {
            _ = try send(
                "POST", "\(url)/v1/webhooks",
                """
                {"id":"\(id)","url":"\(receiver.url)/\(id)","encoder":"\(encoder)",\
                "events":["AssignmentMade","ScoreRecorded"],"from":"beginning",\
                "allow":["127.0.0.0/8"]}
                """)
        }
    }

    @Test(
        "reach their endpoints through kill -9: in the log's order per key, repeated but never lost"
    )
    func killedAtRandom() throws {
        let directory = try temporaryDirectory()
        let generator = Mutex(SeededGenerator())
        let seed = generator.withLock { $0.seed }
        let wasWell = Mutex(true)
        let failures = Mutex<[String: Int]>([:])
        let receiver = FaultyReceiver { request in
            // Never three times in a row, nor for one request: the waits that follow are real here.
            let id = request.header("webhook-id") ?? ""
            let isWell =
                generator.withLock { Int.random(in: 0..<16, using: &$0) } > 0
                || failures.withLock { failures in
                    failures[id, default: 0] += 1
                    return failures[id, default: 0] > 2
                }
            guard
                !wasWell.withLock({ wasWell in
                    defer { wasWell = isWell }
                    return isWell || !wasWell
                })
            else { return .success }
            return [.reset, .answer(500), .close][
                generator.withLock { Int.random(in: 0..<3, using: &$0) }]
        }
        let port = freePort()
        var server = try LedgerProcess.serve(dataDirectory: directory, port: port)
        defer {
            server.kill(SIGTERM)
            server.wait()
            receiver.stop()
            removeTree(directory)
        }
        try prepare(server.url, receiver)
        let writer = Writer(url: server.url)
        for _ in 0..<5 {
            try writer.waitForMore(generator.withLock { Int.random(in: 3...40, using: &$0) })
            server.kill(SIGKILL)
            server.wait()
            server = try LedgerProcess.serve(dataDirectory: directory, port: port)
        }
        try writer.waitForMore(10)
        writer.stop()
        let expected = try events(server.url).filter {
            ["AssignmentMade", "ScoreRecorded"].contains($0.type)
        }
        try waitUntilSettled(server.url)
        for (id, _) in Self.endpoints {
            check(try arrived(at: id, receiver), expected, "\(id), seed \(seed)")
        }
    }

    private func waitUntilSettled(_ url: String) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        let pause = Signal()
        for (id, _) in Self.endpoints {
            while true {
                let answer = try JSONValue.parse(send("GET", "\(url)/v1/webhooks/\(id)").body)
                if answer["delivery"]?["lagEvents"]?.integer == 0 { break }
                try #require(ContinuousClock.now < deadline, "\(answer["delivery"] ?? .null)")
                _ = pause.wait(timeout: .milliseconds(50))
            }
        }
    }

    private func arrived(at id: String, _ receiver: FaultyReceiver) throws -> [StoredEvent] {
        try receiver.received.filter { $0.path == "/\(id)" }.flatMap {
            request -> [StoredEvent] in
            if id == "single" {
                guard let data = try JSONValue.parse(request.body)["data"] else { return [] }
                return [try StoredEvent(line: data.encoded)]
            }
            return try request.body.split(separator: UInt8(ascii: "\n")).map {
                try StoredEvent(line: Array($0))
            }
        }
    }

    private func check(_ arrived: [StoredEvent], _ expected: [StoredEvent], _ what: String) {
        #expect(Set(arrived.map(\.position)) == Set(expected.map(\.position)), "\(what)")
        let lines = Dictionary(uniqueKeysWithValues: expected.map { ($0.position, $0) })
        #expect(arrived.allSatisfy { lines[$0.position] == $0 }, "\(what)")
        // The stream of an assignment is its subject's: the key, as there is one experiment.
        for (key, events) in Dictionary(grouping: arrived, by: \.stream) {
            var last: Int64 = 0
            var seen: Set<Int64> = []
            for event in events where seen.insert(event.position).inserted {
                #expect(event.position > last, "\(key) out of order: \(what)")
                last = event.position
            }
        }
    }
}
