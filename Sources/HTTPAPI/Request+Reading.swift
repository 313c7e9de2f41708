import Crypto
import Domain
import EventLog
import HTTPTypes
import Hummingbird
import JSON
import NIOCore

extension Request {
    /// The whole body; larger than the limit is a 413.
    func bytes() async throws -> [UInt8] {
        do {
            let buffer = try await body.collect(upTo: Limits.requestBodyBytesMax)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError { throw HTTPProblem.bodyTooLarge }
    }

    /// The body as JSON or, by its content type, YAML; empty is an empty object.
    func json() async throws -> JSONValue {
        try json(from: await bytes())
    }

    func json(from bytes: [UInt8]) throws -> JSONValue {
        if bytes.isEmpty { return .object([]) }
        guard hasYAMLBody else { return try JSONValue.parse(bytes) }
        let documents = try YAML.documents(in: bytes)
        guard documents.count == 1 else {
            throw HTTPProblem.malformed("Send one YAML document here, not \(documents.count).")
        }
        return documents[0]
    }

    /// One value, an array of them, or one on each line.
    func values(in body: [UInt8]) throws -> ([JSONValue], isSingle: Bool) {
        if hasLines { return (try API.lines(in: body), false) }
        let value = try json(from: body)
        return value.array.map { ($0, false) } ?? ([value], true)
    }

    /// Whether the body holds a JSON value on each line.
    var hasLines: Bool { headers[.contentType]?.contains("ndjson") ?? false }

    var hasYAMLBody: Bool { headers[.contentType]?.contains("yaml") ?? false }

    /// Whether an answer may be compressed.
    var takesGzip: Bool {
        headers[values: .acceptEncoding].contains { list in
            list.split(separator: ",").contains { coding in
                let words = coding.filter { $0 != " " }.lowercased().split(separator: ";")
                guard words.first == "gzip" || words.first == "*" else { return false }
                // Of weight 0 is what the client refuses.
                return !words.dropFirst().contains { word in
                    word.hasPrefix("q=0") && word.dropFirst(3).allSatisfy { "0.".contains($0) }
                }
            }
        }
    }

    var prefersYAML: Bool {
        guard let accept = headers[.accept] else { return false }
        return accept.contains("yaml") && !accept.contains("json")
    }

    /// Whether this is a program's request to a loopback name, not one that a web page makes of a
    /// browser on this machine: such pages, and names that are bound to loopback later, are how
    /// strangers reach servers that trust their own machine.
    var isFromThisMachine: Bool {
        guard headers[.origin] == nil else { return false }
        var host = (head.authority ?? "")[...]
        if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") { host = host[..<colon] }
        return host == "localhost" || host == "[::1]"
            || (host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." })
    }

    // MARK: Parameters

    func parameter(_ name: String) -> String? {
        uri.queryParameters[Substring(name)].map(String.init)
    }

    /// Refuses parameters other than these: a mistyped `dryRun` must not record anything.
    func allow(parameters known: [String]) throws {
        for (name, _) in uri.queryParameters
        where name != Self.minPosition && !known.contains(String(name)) {
            throw HTTPProblem.parameter(
                String(name), "it is not known here; known: \(known.joined(separator: ", ")).")
        }
    }

    /// PostgreSQL has no text with U+0000, so nothing can be found by one.
    func refuseNUL() throws {
        for (name, value) in uri.queryParameters where value.utf8.contains(0) {
            throw HTTPProblem.parameter(String(name), "it contains the character U+0000.")
        }
    }

    private static let minPosition = "min_position"

    /// The position that the answer must not be older than, if the client names one.
    func wantedPosition() throws -> Int64? {
        if uri.query != nil, let position = try integer(Self.minPosition, in: 0...Int64.max) {
            return position
        }
        guard let text = headers[.ledgerMinPosition] else { return nil }
        guard let position = Int64(text), position >= 0 else {
            throw HTTPProblem.parameter("X-Ledger-Min-Position", "give a position.")
        }
        return position
    }

    func flag(_ name: String) throws -> Bool {
        switch parameter(name) {
        case nil, "false", "0": return false
        case "true", "1", "": return true
        default: throw HTTPProblem.parameter(name, "give true or false.")
        }
    }

    func integer(_ name: String, in range: ClosedRange<Int64>) throws -> Int64? {
        guard let text = parameter(name) else { return nil }
        guard let value = Int64(text), range.contains(value) else {
            throw HTTPProblem.parameter(
                name, "give a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }

    func limit() throws -> Int {
        Int(
            try integer("limit", in: 1...Int64(Limits.pageLengthMax))
                ?? Int64(Limits.pageLengthDefault))
    }

    // MARK: Headers

    /// The resource version that `If-Match` asks for.
    func expectedResourceVersion() throws -> Int64? {
        guard let text = headers[.ifMatch] else { return nil }
        var tag = text[...]
        if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
        guard let version = Int64(tag.filter { $0 != "\"" }) else {
            throw HTTPProblem.parameter(
                "If-Match", "give the resource version that was read, such as \"3\".")
        }
        return version
    }

    /// Who asks, and under which idempotency key.
    func context(
        _ actor: String, body: [UInt8], answer: @escaping @Sendable (Receipt) -> [UInt8]
    ) throws -> CommandContext {
        let correlation = headers[.correlationID]
        if let correlation, correlation.utf8.count > Limits.correlationBytesMax {
            throw HTTPProblem.parameter(
                "X-Correlation-ID", "it has at most \(Limits.correlationBytesMax) bytes.")
        }
        var context = CommandContext(actor: actor, correlation: correlation)
        guard let key = headers[.idempotencyKey] else { return context }
        guard (1...Limits.idempotencyKeyBytesMax).contains(key.utf8.count) else {
            throw HTTPProblem.parameter(
                "Idempotency-Key", "it has 1 to \(Limits.idempotencyKeyBytesMax) bytes.")
        }
        var hash = SHA256()
        hash.update(data: Array("\(method.rawValue) \(uri.string)\n".utf8))
        hash.update(data: body)
        context.idempotency = .init(
            key: key, request: Digest(hash.finalize()), answer: answer)
        return context
    }
}

extension APIContext {
    /// A part of the path, percent-decoded.
    func part(_ name: String) throws -> String {
        guard let raw = parameters.get(name), let text = String(percentEncoded: raw) else {
            throw HTTPProblem.malformed("The path is not percent-encoded UTF-8.")
        }
        return text
    }

    /// A resource's ID in the path; one that can't exist is not found.
    func resourceID(_ kind: ResourceKind) throws -> ResourceID {
        let text = try part("id")
        guard let id = ResourceID(text) else {
            throw HTTPProblem.notFound(
                "\(text.prefix(140)) is no ID of a \(kind.rawValue): \(ResourceID.rule).")
        }
        return id
    }
}

extension String {
    /// Nil where `%` is not followed by two digits or the bytes are no UTF-8.
    init?(percentEncoded text: String) {
        guard text.utf8.contains(UInt8(ascii: "%")) else {
            self = text
            return
        }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexDigitValue,
                let low = rest.popFirst()?.hexDigitValue
            else { return nil }
            bytes.append(high << 4 | low)
        }
        self.init(validating: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    fileprivate var hexDigitValue: UInt8? {
        Character(UnicodeScalar(self)).hexDigitValue.map { UInt8($0) }
    }
}

extension API {
    /// The JSON values of a body that holds one on each line.
    static func lines(in body: [UInt8]) throws -> [JSONValue] {
        let lines = body.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        var values: [JSONValue] = []
        for (index, line) in lines.enumerated()
        where !line.isEmpty && line != [UInt8(ascii: "\r")] {
            do throws(JSONError) { values.append(try JSONValue.parse(Array(line))) } catch {
                throw HTTPProblem.malformed("Line \(index + 1) is not valid JSON: \(error).")
            }
        }
        return values
    }
}

extension API {
    /// Waits until this node has reached the position that the request names, for a bounded time.
    ///
    /// - Returns: the position that an answer is no older than.
    func waitForPosition(_ request: Request) async throws -> Int64 {
        let position = log.view.position
        guard let wanted = try request.wantedPosition(), wanted > position else { return position }
        let patience = Duration.seconds(Limits.positionPatienceSeconds)
        if await log.view.wait(for: wanted, patience: patience) { return log.view.position }
        throw HTTPProblem.unavailable(
            "position-not-reached", "This node is not as far as that",
            "It is at position \(log.view.position), and \(wanted) was asked for; try again in a "
                + "moment, or ask the node that gave you the position.")
    }
}
