import Domain
import EventLog
import Gzip
import Hummingbird
import JSON

/// Appending events, and reading the log as lines or as a live feed.
extension API {
    func addEventRoutes(to router: Router<APIContext>) {
        router.post("/v1/events") { request, context in
            let actor = try authorize(request, .editor)
            return try await append(request, actor)
        }
        router.get("/v1/events") { request, context in
            _ = try authorize(request, .reader)
            let filter = try Self.filter(request)
            if request.headers[.accept]?.contains("text/event-stream") ?? false {
                return try feed(request, filter)
            }
            return try await lines(request, filter)
        }
    }

    // MARK: Appending

    private func append(_ request: Request, _ actor: String) async throws -> Response {
        let body = try await request.bytes()
        let (values, isSingle) = try request.values(in: body)
        try HTTPProblem.refuse(count: values.count, of: "events")
        var proposals: [ProposedEvent] = []
        var problems: [Problem] = []
        for (index, value) in values.enumerated() {
            do throws(Refusal) {
                proposals.append(
                    try ProposedEvent(value, pointer: isSingle ? "" : "/\(index)"))
            } catch { problems += error.problems }
        }
        guard problems.isEmpty else { throw Refusal.invalid(problems) }
        let context = try request.context(actor, body: body) {
            Self.appended($0, isSingle: isSingle).bytes
        }
        // The decider knows proposals, not whether a single one came in a list.
        let first = !isSingle && values.count == 1 ? "/0" : ""
        let receipt = try await pointing(under: first) {
            try await log.sequencer.submit(.append(proposals), context)
        }
        if let answer = receipt.replayedAnswer { return .replayed(answer, status: .created) }
        let answer = Self.appended(receipt, isSingle: isSingle)
        if receipt.isReplay { return .replayed(answer.bytes, status: .created) }
        return Response(status: .created, json: answer)
    }

    private static func appended(_ receipt: Receipt, isSingle: Bool) -> JSONWriter {
        json { writer in
            if isSingle, let event = receipt.appended.first {
                writer.place(of: event)
            } else {
                writer.key("position")
                writer.integer(receipt.position)
            }
            writer.key("events")
            writer.beginArray()
            for event in receipt.appended {
                writer.beginObject()
                writer.place(of: event)
                writer.endObject()
            }
            writer.endArray()
        }
    }

    // MARK: Reading

    private static func filter(_ request: Request) throws -> EventFilter {
        var filter = EventFilter()
        filter.stream = request.parameter("stream")
        filter.types =
            request.parameter("type")?.split(separator: ",").map(String.init) ?? []
        filter.experiment = try Self.experimentParameter(request)
        return filter
    }

    private func after(_ request: Request) throws -> Int64 {
        if let last = request.headers[.lastEventID] {
            guard let position = Int64(last), position >= 0 else {
                throw HTTPProblem.parameter("Last-Event-ID", "give the position last seen.")
            }
            return position
        }
        if request.parameter("after") == "now" { return log.view.position }
        return try request.integer("after", in: 0...Int64.max) ?? 0
    }

    /// Lines up to the limit, the head, or as many as a page holds.
    private func lines(_ request: Request, _ filter: EventFilter) async throws -> Response {
        let after = try after(request)
        let limit =
            try request.integer("limit", in: 1...Int64(Limits.linePageLengthMax))
            ?? Int64(Limits.pageLengthDefault)
        if let seconds = try request.integer("wait", in: 0...Int64(Limits.lineWaitSecondsMax)) {
            _ = await log.view.wait(for: after + 1, patience: .seconds(seconds))
        }
        let head = log.view.position
        let isCompressed = request.takesGzip
        let (bytes, isGzip) =
            filter.isEmpty
            ? try await log.reader.pool.run { connection in
                let page = try LinePage.read(
                    after: after, through: head, limit: Int(limit),
                    bytesMax: Limits.linePageBytesMax, connection)
                return Self.body(page.bytes, compressed: isCompressed)
            }
            : Self.body(
                try await filtered(filter, after: after, through: head, limit: Int(limit)),
                compressed: isCompressed)
        var response = Response(bytes: bytes, type: .ndjson)
        response.headers[.ledgerPosition] = "\(head)"
        response.headers[.vary] = "Accept, Accept-Encoding"
        if isGzip { response.headers[.contentEncoding] = "gzip" }
        return response
    }

    /// Below this, compressing gains nothing.
    private static let gzipBytesMin = 1_024

    private static func body(_ bytes: [UInt8], compressed: Bool) -> ([UInt8], isGzip: Bool) {
        let isGzip = compressed && bytes.count > gzipBytesMin
        return (isGzip ? gzipped(bytes, level: 1) : bytes, isGzip)
    }

    private func filtered(
        _ filter: EventFilter, after: Int64, through head: Int64, limit: Int
    ) async throws -> [UInt8] {
        var writer = JSONWriter(capacity: 64 << 10)
        var count = 0
        var position = after
        while count < limit, position < head, writer.bytes.count < Limits.linePageBytesMax {
            let page = try await log.reader.events(
                after: position, through: head, limit: min(limit - count, Self.feedPage),
                matching: filter)
            for event in page.events {
                event.writeLine(to: &writer)
                writer.newline()
            }
            count += page.events.count
            position = page.readThrough
        }
        return writer.bytes
    }

    /// Server-sent events: what is there, then each commit as it happens.
    private func feed(_ request: Request, _ filter: EventFilter) throws -> Response {
        let after = try after(request)
        return Response(
            status: .ok,
            headers: [
                .contentType: MediaType.eventStream.rawValue, .cacheControl: "no-cache",
                .ledgerPosition: "\(log.view.position)",
            ],
            body: ResponseBody { writer in
                metrics.feedSubscribers.add(1)
                defer { metrics.feedSubscribers.add(-1) }
                try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
                try await follow(after, filter, &writer)
                try await writer.finish(nil)
            })
    }

    /// Events read at once.
    private static let feedPage = 1_000

    private func follow(
        _ after: Int64, _ filter: EventFilter, _ writer: inout any ResponseBodyWriter
    ) async throws {
        var position = after
        while !log.view.isClosing {
            let head = log.view.position
            guard position < head else {
                await log.view.waitForCommit(beyond: position)
                // Woken without a commit: a sign of life, which also finds a client that is gone.
                if log.view.position <= position {
                    try await writer.write(ByteBuffer(string: ": still here\n\n"))
                }
                continue
            }
            let page = try await log.reader.events(
                after: position, through: head, limit: Self.feedPage, matching: filter)
            if !page.events.isEmpty { try await writer.write(Self.frames(page.events)) }
            position = page.readThrough
        }
    }

    private static func frames(_ events: [StoredEvent]) -> ByteBuffer {
        var frames = JSONWriter(capacity: events.count * 512)
        for event in events {
            frames.bytes.append(
                contentsOf: "id: \(event.position)\nevent: \(event.type)\ndata: ".utf8)
            // A line in a frame starts after a blank, where the writer would put a comma.
            var line = JSONWriter(capacity: event.data.count + 256)
            event.writeLine(to: &line)
            frames.bytes.append(contentsOf: line.bytes)
            frames.bytes.append(contentsOf: "\n\n".utf8)
        }
        return ByteBuffer(bytes: frames.bytes)
    }
}

extension ProposedEvent {
    /// Reads `{"type","data","id"?,"stream"?,"expectedVersion"?,"correlation"?}`.
    fileprivate init(_ json: JSONValue, pointer: String) throws(Refusal) {
        let problems = Problems()
        let reader = DocumentReader(json, pointer, problems)
        reader.allow(["type", "data", "id", "stream", "expectedVersion", "correlation"])
        let type = reader.text("type", required: true)
        if json["data"]?.object == nil { reader.problem("data", "data is required: an object.") }
        let id = reader.eventID("id", of: "an event")
        let stream = reader.text("stream")
        let correlation = reader.text("correlation", max: Limits.correlationBytesMax)
        let expected = Self.expectedVersion(json["expectedVersion"])
        if expected == nil {
            reader.problem("expectedVersion", "Give a version, none, exists or any.")
        }
        guard problems.list.isEmpty, let type, let expected else {
            throw .invalid(problems.list)
        }
        self.init(type: type, data: json["data"] ?? .null)
        self.id = id
        self.stream = stream
        self.correlation = correlation
        expectedVersion = expected
    }

    private static func expectedVersion(_ json: JSONValue?) -> ExpectedVersion? {
        switch json {
        case nil, .null?, "any"?: .any
        case "none"?: ExpectedVersion.none
        case "exists"?: .exists
        case .number(let number)?: number.integer.flatMap { $0 >= 0 ? .exactly($0) : nil }
        default: nil
        }
    }
}
