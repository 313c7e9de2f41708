import Curl
import Domain
import EventLog
import JSON

/// Where a body goes and what is said along with it, for one attempt.
struct SignedRequest {
    /// Nil where it is the endpoint's own.
    let url: String?
    let headers: [Header]

    /// - Parameter id: the same for every attempt.
    init(id: String, _ body: EncodedBody, _ form: EndpointForm, _ now: Timestamp) throws {
        let seconds = now.microseconds / 1_000_000
        let url = form.encoder.url(form.options.url, token: id)
        self.url = url == form.options.url ? nil : url
        headers = [
            Header("webhook-id", id), Header("webhook-timestamp", "\(seconds)"),
            Header(
                "webhook-signature",
                try form.keys.header(id: id, timestamp: seconds, body: body.plain)),
        ]
    }
}

/// A body that is larger than the receiver allows.
struct BodyTooLargeError: Error, CustomStringConvertible {
    let bytes: Int
    let bytesMax: Int

    var description: String {
        "the encoded body has \(bytes) bytes, and the receiver takes \(bytesMax)"
    }
}

/// A batch that formed when the endpoint took longer ones.
struct BatchTooLongError: Error, CustomStringConvertible {
    let count: Int
    let countMax: Int

    var description: String { "the batch has \(count) events, and the receiver takes \(countMax)" }
}

extension Batch {
    /// The `webhook-id` of its requests: the event's own where there is one event.
    ///
    /// Receivers take what has the same ID for the same, so no other batch has it: one that begins
    /// with the same event and has as many may form when the process starts anew.
    var requestID: String {
        guard let first = events.first else { return "" }
        let id = first.entry.id.description
        guard positions.count > 1 else { return id }
        let digest = positions.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { digest, position in
            (digest ^ UInt64(bitPattern: position)) &* 0x100_0000_01B3
        }
        return "\(id)-\(positions.count)-\(String(digest, radix: 16))"
    }
}

extension EndpointForm {
    /// Encodes a batch; refused where it is over one of the receiver's limits.
    func body(of batch: Batch) throws -> EncodedBody {
        guard batch.events.count <= batchCountMax else {
            throw BatchTooLongError(count: batch.events.count, countMax: batchCountMax)
        }
        let events = batch.events.map { $0.block.event($0.index) }
        let body = try encoder.body(events)
        let limits = encoder.limits
        let bytesMax = events.count == 1 ? limits.eventBytesMax : limits.bytesMax
        guard body.count <= bytesMax else {
            throw BodyTooLargeError(bytes: body.count, bytesMax: bytesMax)
        }
        return EncodedBody(body, compresses: compresses)
    }

    /// An event that never happened, for trying an endpoint out.
    func sample(for webhook: String, at now: Timestamp) throws -> (id: String, EncodedBody) {
        var generator = SystemRandomNumberGenerator()
        let isPlain = encoder.carries(Self.sampleType)
        let event = StoredEvent(
            position: 0, id: EventID(at: now, using: &generator),
            stream: isPlain ? StreamName.webhook(webhook) : "assignment/LEDGER-TEST/ledger-test",
            version: 0, type: isPlain ? Self.sampleType : "AssignmentMade", recordedAt: now,
            actor: Dispatcher.actor, data: isPlain ? Self.sampleData(webhook) : Self.sampleExposure)
        let body = try encoder.body([
            OutgoingEvent(
                position: 0, id: event.id, type: event.type, stream: event.stream,
                recordedAt: now, line: event.line[...])
        ])
        return (event.id.description, EncodedBody(body, compresses: compresses))
    }

    private static let sampleType = "WebhookTested"

    private static func sampleData(_ webhook: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("webhook")
        writer.string(webhook)
        writer.key("message")
        writer.string("A sample, sent on request; nothing of this kind is in the log.")
        writer.endObject()
        return writer.bytes
    }

    /// For receivers that know nothing but exposures.
    private static let sampleExposure = Array(
        """
        {"experiment":"LEDGER-TEST","subject":"ledger-test","subjectType":"ANY",\
        "variant":"SAMPLE","cohort":1,"u":0.5}
        """.utf8)

    /// A target that keeps all that comes back, for people to read.
    var testTarget: Target {
        var options = options
        options.keepsHead = true
        options.bodyBytesKept = 4_096
        return Target(options, permits: permits)
    }
}

extension TestReport {
    init(error: String) { self.error = error }

    init(_ form: EndpointForm, _ request: SignedRequest, _ body: EncodedBody) {
        url = request.url ?? form.options.url
        requestHeaders = request.headers.map { ($0.name, $0.value) }
        requestBody = body.plain
    }

    /// With what came of it.
    func completed(_ outcome: Outcome) -> TestReport {
        var report = self
        report.status = outcome.status
        report.answerHeaders = outcome.head?.headers.map { ($0.0, $0.1) } ?? []
        report.answer = outcome.bodyStart
        report.error = outcome.error?.description
        report.seconds = outcome.seconds
        report.address = outcome.address?.description
        return report
    }
}

extension DeliveryCounts {
    /// Counts an attempt that ended.
    mutating func note(_ outcome: Outcome) {
        let result: AttemptOutcome =
            switch outcome.error?.kind {
            case nil: (200..<300).contains(outcome.status) ? .delivered : .rejected
            case .timedOut?: .timedOut
            default: .unreachable
            }
        attempts[result, default: 0] += 1
        if outcome.isReusedConnection { reused += 1 }
    }
}
