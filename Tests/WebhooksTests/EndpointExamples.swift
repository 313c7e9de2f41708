import Crypto
import EventLog
import Secrets

@testable import Domain
@testable import Webhooks

extension Timestamp {
    /// Seconds after some moment.
    static func at(_ seconds: Double) -> Timestamp {
        Timestamp(microseconds: 1_767_225_600_000_000 + Int64((seconds * 1_000_000).rounded()))
    }

    /// What ``at(_:)`` was given.
    var seconds: Double { (self - .at(0)) / .seconds(1) }
}

/// Webhooks, endpoints and stretches of the log for tests of deliveries.
enum EndpointExamples {
    static let secrets = SecretBox(key: SymmetricKey(size: .bits256))

    static func webhook(
        _ mode: DeliveryMode = .orderedByKey, start: Int64 = 1, createdPosition: Int64 = 1,
        adjust: (inout WebhookSettings) -> Void = { _ in }
    ) throws -> Webhook {
        var settings = WebhookSettings(
            url: "https://example.com/hook", events: ["AssignmentMade"], encoder: "ndjson")
        settings.mode = mode
        adjust(&settings)
        return Webhook(
            id: "hook", settings: settings,
            secret: try WebhookSecret(generating: .hmac)
                .sealed(for: "hook", in: secrets),
            start: start, createdPosition: createdPosition, createdAt: .at(0), updatedAt: .at(0))
    }

    static func form(_ webhook: Webhook) throws -> EndpointForm {
        try EndpointForm(webhook, secrets: secrets, source: "/ledger", timeout: .seconds(15))
    }

    static func matcher(_ webhook: Webhook) throws -> EventMatcher {
        EventMatcher(webhook.settings, encoder: try form(webhook).encoder, experiments: [:])
    }

    static func endpoint(_ webhook: Webhook, progress: [LaneProgress] = []) throws -> Endpoint {
        Endpoint(
            webhook, form: try form(webhook), matcher: try matcher(webhook), progress: progress)
    }

    /// An event about a subject of the experiment HERO, recorded at so many seconds.
    static func event(
        _ position: Int64, subject: String, type: String = "AssignmentMade", bytes: Int = 2
    ) -> StoredEvent {
        StoredEvent(
            position: position,
            id: EventID(high: 0x0190_F3A0_0000_7000, low: 1 << 63 | UInt64(position)),
            stream: "assignment/HERO/\(subject)", version: 1, type: type,
            recordedAt: .at(Double(position)), actor: "key/test",
            data: Array("{\(String(repeating: " ", count: max(0, bytes - 2)))}".utf8))
    }

    /// A hundred events of one subject.
    static let hundred = block(String(repeating: "a", count: 100))

    /// A block of events after a position, each of the subject that its letter names; `-` is one
    /// of a type that lanes of tests do not select.
    static func block(_ subjects: String, after: Int64 = 0) -> LogBlock {
        let events = zip((after + 1)..., subjects).map { position, subject in
            event(
                position, subject: "\(subject)",
                type: subject == "-" ? "LabCreated" : "AssignmentMade")
        }
        return LogBlock(after: after, through: after + Int64(events.count), events: events)
    }
}
