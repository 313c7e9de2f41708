/// Writes events the way one kind of receiver reads them.
///
/// The body of a request is `opening`, then events with `separator` between them, then `closing`:
/// its size is known while a batch forms, and any part of a batch can be sent alone.
///
/// A new encoder is one file beside the others and its name in ``Encoders/all``.
package protocol EventEncoder: Sendable {
    /// What an endpoint calls it, as in `ndjson`.
    static var name: String { get }

    /// Refuses settings that lack what the receiver asks for.
    init(_ settings: EncoderSettings) throws(EncoderSettingsError)

    /// The media type of the body.
    var contentType: String { get }
    var limits: BatchLimits { get }

    /// Whether events of this type mean something to the receiver; others are passed over.
    func carries(_ type: String) -> Bool

    var opening: [UInt8] { get }
    var separator: [UInt8] { get }
    var closing: [UInt8] { get }

    /// Appends one event; where its line can't be read, throws and leaves the body as it was.
    func append(_ event: OutgoingEvent, to body: inout [UInt8]) throws(UnreadableEvent)

    /// Where a batch is sent to.
    ///
    /// - Parameters:
    ///   - base: The endpoint's URL.
    ///   - token: Names the batch; the same for every attempt.
    func url(_ base: String, token: String) -> String
}

extension EventEncoder {
    package var contentType: String { "application/json" }
    package func carries(_ type: String) -> Bool { true }
    package var opening: [UInt8] { [] }
    package var separator: [UInt8] { [] }
    package var closing: [UInt8] { [] }
    package func url(_ base: String, token: String) -> String { base }

    /// The body of a request that carries these events.
    package func body(_ events: some Sequence<OutgoingEvent>) throws(UnreadableEvent) -> [UInt8] {
        var body = opening
        var isFirst = true
        for event in events {
            if !isFirst { body += separator }
            isFirst = false
            try append(event, to: &body)
        }
        return body + closing
    }
}

/// How much one request may carry, by the receiver's own rules.
package struct BatchLimits: Sendable, Equatable {
    package var countMax: Int
    /// Of the whole body, before compression. An event that is larger alone is sent alone, unless
    /// it is over ``eventBytesMax`` too.
    package var bytesMax: Int
    /// Of one event as it is encoded; a larger one would be refused every time.
    package var eventBytesMax: Int

    package init(countMax: Int, bytesMax: Int, eventBytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
        self.eventBytesMax = eventBytesMax
    }

    /// One event of any size per request.
    static let single = BatchLimits(countMax: 1, bytesMax: .max, eventBytesMax: .max)
}

/// What an endpoint tells its encoder.
package struct EncoderSettings: Sendable {
    /// What the receiver knows the sender by, where it is part of the body.
    package var apiKey: String?
    /// Which ledger the events come from: the `source` of CloudEvents, a URI reference.
    package var source: String

    package init(apiKey: String? = nil, source: String) {
        self.apiKey = apiKey
        self.source = source
    }

    /// The key; an error says what it is called where the receiver shows it.
    func requiredAPIKey(
        _ what: String, for encoder: String
    ) throws(EncoderSettingsError) -> String {
        guard let apiKey, !apiKey.isEmpty else {
            throw EncoderSettingsError(
                description: "The encoder \(encoder) needs an API key: \(what).")
        }
        return apiKey
    }
}

/// An endpoint's settings lack what its encoder needs; the description is for its owner.
package struct EncoderSettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
}

/// An event's line lacks what its type promises, so it can't be encoded, now or later.
package struct UnreadableEvent: Error, Sendable, Equatable, CustomStringConvertible {
    package let position: Int64
    package let reason: String

    package var description: String { "event \(position) can't be read: \(reason)" }
}
