import Curl
import Domain
import JSON
import TestSupport
import Testing

@Suite struct EventsTests {
    private static func lab(_ id: String, _ more: String = "") -> String {
        #"{"type":"LabCreated","data":{"metadata":{"id":"\#(id)"}}\#(more)}"#
    }

    @Test func `one event, a list and lines are appended`() async throws {
        try await ServedLedger.run { ledger async throws in
            let one = try await ledger.send("POST", "/v1/events", Self.lab("a"))
            #expect(one.status == 201)
            #expect(one["position"] == 1 && one["stream"] == "lab/A" && one["version"] == 1)
            let list = try await ledger.send(
                "POST", "/v1/events", "[\(Self.lab("b")),\(Self.lab("c"))]")
            #expect(list["events"]?.array?.integers("position") == [2, 3])
            #expect(list["position"] == 3)
            let lines = try await ledger.send(
                "POST", "/v1/events", "\(Self.lab("d"))\r\n\r\n\n\(Self.lab("e"))",
                headers: [("Content-Type", "application/x-ndjson")])
            #expect(lines["events"]?.array?.texts("stream") == ["lab/D", "lab/E"])
        }
    }

    @Test func `events of one request are recorded together or not at all`() async throws {
        try await ServedLedger.run { ledger async throws in
            let known = Self.lab("default")
            for (body, status, pointers) in [
                ("[\(Self.lab("a")),\(Self.lab("b c"))]", 422, ["/1/data/metadata/id"]),
                ("[\(Self.lab("a")),\(known)]", 409, []),
                (#"[{"type":"X","data":{}}]"#, 422, ["/0/type"]),
                (#"{"type":"X","data":{}}"#, 422, ["/type"]),
                (#"[{"data":1}]"#, 422, ["/0/type", "/0/data"]), ("[]", 400, []), ("1", 422, nil),
                (#"{"type":"KeyRevoked","data":{"key":"a"}}"#, 422, ["/type"]),
            ] as [(String, Int, [String]?)] {
                let answer = try await ledger.send("POST", "/v1/events", body)
                #expect(answer.status == status, "\(answer.text)")
                if let pointers { #expect(answer.pointers == pointers, "\(answer.text)") }
            }
            let line = try await ledger.send(
                "POST", "/v1/events", "\(Self.lab("a"))\n\n{",
                headers: [("Content-Type", "application/x-ndjson")])
            #expect(line.detail.hasPrefix("Line 3"))
            #expect(ledger.log.view.position == 0)
        }
    }

    @Test func `a wrong expected version is a conflict that names the right one`() async throws {
        try await ServedLedger.run { ledger async throws in
            func append(_ expected: String, _ id: String) async throws -> Answer {
                try await ledger.send(
                    "POST", "/v1/events",
                    #"""
                    {"type":"LabUpdated","data":{"lab":"a","resourceVersion":9,"changes":
                    [{"field":"/metadata/name","before":null,"after":"\#(id)"}]},
                    "expectedVersion":\#(expected)}
                    """#)
            }
            #expect(
                try await ledger.send(
                    "POST", "/v1/events", Self.lab("a", #","expectedVersion":"none""#)
                ).status == 201)
            for expected in ["0", "2", "\"none\""] {
                let answer = try await append(expected, "x")
                #expect(answer.status == 409 && answer.problem == "version-mismatch")
                #expect(answer["actualVersion"] == 1)
            }
            #expect(try await append("1", "x").status == 201)
            #expect(try await append("\"exists\"", "y").status == 201)
            #expect(try await append("\"any\"", "z").status == 201)
            for odd in ["-1", "1.5", "\"x\"", "true"] {
                #expect(try await append(odd, "w").pointers == ["/expectedVersion"], "\(odd)")
            }
        }
    }

    @Test func `an event that brings its own ID is recorded once`() async throws {
        try await ServedLedger.run { ledger async throws in
            let id = "01a1fbd8-3643-73cb-97aa-5690aa1bf26b"
            let event = Self.lab("a", #","id":"\#(id)""#)
            let first = try await ledger.send("POST", "/v1/events", event)
            #expect(first["id"] == .string(id))
            let second = try await ledger.send("POST", "/v1/events", event)
            #expect(second.text == first.text)
            #expect(second.header("Idempotency-Replayed") == "true")
            let both = try await ledger.send("POST", "/v1/events", "[\(event),\(Self.lab("b"))]")
            #expect(both["events"]?.array?.integers("position") == [1, 2])
            #expect(both.header("Idempotency-Replayed") == nil)
            let other = try await ledger.send(
                "POST", "/v1/events", Self.lab("c", #","id":"\#(id)""#))
            #expect(other.problem == "idempotency-key-reused")
            let odd = try await ledger.send("POST", "/v1/events", Self.lab("c", #","id":"x""#))
            #expect(odd.pointers == ["/id"])
        }
    }

    @Test func `a correlation ID is kept with the events of its request`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.send(
                "POST", "/v1/events", Self.lab("a"), headers: [("X-Correlation-ID", "c 1")])
            let events = try await ledger.get("/v1/events")
            #expect(events.lines.texts("correlation") == ["c 1"])
            #expect(try await ledger.get("/v1/audit").items.texts("correlation") == ["c 1"])
        }
    }

    @Test func `lines can be filtered`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.active)
            try await ledger.send(
                "POST", "/v1/experiments/hero-nov-2024/assignments", #"{"subjects":["a"]}"#)
            let all = try await ledger.get("/v1/events").lines
            for (query, isIn) in [
                (
                    "type=VariantAdded,AssignmentMade",
                    { ["VariantAdded", "AssignmentMade"].contains($0["type"]) }
                ),
                ("stream=lab%2FMARKETING", { $0["stream"] == "lab/MARKETING" }),
                ("experiment=hero-NOV-2024", { $0["stream"]?.string?.contains("HERO") ?? false }),
                ("after=3&limit=2", { (4...5).contains($0["position"]?.integer ?? 0) }),
                ("type=None", { _ in false }),
            ] as [(String, (JSONValue) -> Bool)] {
                let lines = try await ledger.get("/v1/events?\(query)").lines
                #expect(lines == all.filter(isIn), "\(query)")
            }
        }
    }

    // MARK: Following

    private static let count: Int64 = 400

    /// Records events in the background, some in one commit.
    private static func write(_ ledger: ServedLedger) -> Task<Void, any Error> {
        Task {
            var next: Int64 = 0
            while next < count {
                let size = min(next % 5 + 1, count - next)
                let events = (next..<next + size).map { number in
                    ProposedEvent(
                        type: "LabCreated",
                        data: .object([
                            .init("metadata", .object([.init("id", .string("lab-\(number)"))]))
                        ]))
                }
                try await ledger.log.appendEvents(events)
                next += size
            }
        }
    }

    @Test func `lines read on by position have no gap and no repeat while others write`()
        async throws
    {
        let seed = UInt64.random(in: 0...(.max))
        try await ServedLedger.run { ledger async throws in
            var random = Randomness(seed: seed)
            let writing = Self.write(ledger)
            var seen: [Int64] = []
            while seen.count < Self.count {
                let limit = Int.random(in: 1...50, using: &random)
                let page = try await ledger.get("/v1/events?after=\(seen.last ?? 0)&limit=\(limit)")
                #expect(page.lines.count <= limit)
                let head = try #require(page.header("X-Ledger-Position").flatMap { Int64($0) })
                seen += page.lines.integers("position")
                #expect(seen.last ?? 0 <= head)
            }
            try await writing.value
            #expect(seen == Array(1...Self.count), "seed \(seed)")
        }
    }

    @Test func `a feed that is cut anywhere reads on by position, without a gap or a repeat`()
        async throws
    {
        let seed = UInt64.random(in: 0...(.max))
        try await ServedLedger.run { ledger async throws in
            var random = Randomness(seed: seed)
            let writing = Self.write(ledger)
            var seen: [Int64] = []
            while seen.count < Self.count {
                let bytes = Int.random(in: 1...8_000, using: &random)
                let last = seen.last ?? 0
                let piece = try await Self.feed(ledger, after: last, cutAfter: bytes) {
                    last + Int64($0) < Self.count
                }
                seen += piece
            }
            try await writing.value
            #expect(seen == Array(1...Self.count), "seed \(seed)")
        }
    }

    /// Positions of the whole frames among the first bytes of a feed.
    private static func feed(
        _ ledger: ServedLedger, after: Int64, cutAfter bytes: Int,
        while goesOn: @escaping @Sendable (Int) -> Bool
    ) async throws -> [Int64] {
        try await onThread {
            var text: [UInt8] = []
            var positions: [Int64] = []
            try Transfer().stream(
                Request(
                    url: "http://127.0.0.1:\(ledger.port)/v1/events",
                    headers: [
                        ("Accept", "text/event-stream"), ("Last-Event-ID", "\(after)"),
                    ], timeoutMilliseconds: 60_000),
                onHead: { head in
                    #expect(head.status == 200)
                    #expect(head.header("Content-Type") == "text/event-stream")
                },
                onBody: { piece in
                    text += piece.prefix(bytes - text.count)
                    positions = frames(in: text)
                    return text.count < bytes && goesOn(positions.count)
                })
            return positions
        }
    }

    private static func frames(in text: [UInt8]) -> [Int64] {
        let text = String(decoding: text, as: UTF8.self)
        guard let end = text.ranges(of: "\n\n").last?.upperBound else { return [] }
        return text[..<end].split(separator: "\n\n").compactMap { frame in
            let fields = frame.split(separator: "\n")
            guard fields.count == 3, fields[2].hasPrefix("data: "),
                let event = try? JSONValue.parse(Array(fields[2].dropFirst(6).utf8)),
                fields[0] == "id: \(event["position"]?.integer ?? -1)",
                fields[1] == "event: \(event["type"]?.string ?? "")"
            else { return nil }
            return event["position"]?.integer
        }
    }

    @Test func `a feed after now begins with what comes next`() async throws {
        try await ServedLedger.run { ledger async throws in
            _ = try await ledger.applyYAML(Examples.draft)
            let answer = try await ledger.get("/v1/events?after=now")
            #expect(answer.lines.isEmpty)
            for odd in [
                "after=-1", "after=x", "limit=0", "limit=100001", "wait=31", "wait=x",
                "experiment=a%20b", "stream=%00",
            ] {
                #expect(try await ledger.get("/v1/events?\(odd)").problem == "malformed-parameter")
            }
        }
    }
}

/// Numbers that a seed gives again.
struct Randomness: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        // SplitMix64.
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
