import Domain
import JSON
import Secrets
import Webhooks

/// Endpoints and their deliveries as JSON.
extension JSONWriter {
    /// The secret that receivers verify with; the one time that it is shown.
    mutating func secret(_ secret: WebhookSecret) {
        if let text = secret.publicText {
            key("publicKey")
            string(text)
        } else {
            key("secret")
            string(secret.text)
        }
    }

    mutating func members(of webhook: Webhook, _ status: EndpointStatus?) {
        key("id")
        string(webhook.id)
        members(of: webhook.settings)
        key("from")
        integer(webhook.start)
        key("status")
        string(webhook.status.name)
        key("version")
        integer(webhook.version)
        key("createdAt")
        string(webhook.createdAt.description)
        key("updatedAt")
        string(webhook.updatedAt.description)
        if let previous = webhook.previousSecret {
            key("previousSecretUntil")
            string(previous.until.description)
        }
        key("replays")
        beginArray()
        for replay in webhook.replays.suffix(20) {
            beginObject()
            members(of: replay)
            key("status")
            string(replay.status.rawValue)
            key("position")
            integer(status?.replays[replay.number] ?? replay.finalPosition)
            key("requestedAt")
            string(replay.requestedAt.description)
            endObject()
        }
        endArray()
        key("delivery")
        if let status { delivery(status) } else { null() }
    }

    private mutating func delivery(_ status: EndpointStatus) {
        beginObject()
        key("state")
        string(status.state)
        key("reason")
        string(orNull: status.reason)
        key("position")
        integer(status.position)
        key("lagEvents")
        integer(status.lagEvents)
        key("lagSeconds")
        number(status.lagSeconds)
        key("requestsInFlight")
        integer(status.requestsInFlight)
        key("eventsInFlight")
        integer(status.eventsInFlight)
        key("failures")
        integer(status.failures)
        key("failingSince")
        string(orNull: status.failingSince?.description)
        key("nextRetry")
        string(orNull: status.nextRetry?.description)
        key("setAside")
        integer(status.setAside)
        counts(status.counts)
        endObject()
    }

    private mutating func counts(_ counts: DeliveryCounts) {
        key("delivered")
        integer(counts.delivered)
        key("attempts")
        beginObject()
        for outcome in AttemptOutcome.allCases {
            key(outcome.rawValue)
            integer(counts.attempts[outcome] ?? 0)
        }
        endObject()
        key("batchFill")
        number(counts.batchFill)
        key("connectionsReused")
        integer(counts.reused)
        key("lastDeliveryAt")
        string(orNull: counts.lastDeliveryAt?.description)
        key("lastError")
        string(orNull: counts.lastError)
        key("lastErrorAt")
        string(orNull: counts.lastErrorAt?.description)
    }

    mutating func members(of failure: SetAside, hiding hidden: HiddenTexts) {
        key("position")
        integer(failure.position)
        key("attempts")
        integer(failure.attempts)
        key("status")
        if let status = failure.status { integer(status) } else { null() }
        key("reason")
        string(failure.reason)
        key("answer")
        // Some receivers repeat what they were told.
        string(hidden.removed(from: Array(failure.answer.utf8)))
        key("failedAt")
        string(failure.failedAt.description)
        key("requestedAt")
        string(orNull: failure.requestedAt?.description)
    }

    /// - Parameter hidden: what is not shown, though it was sent or came back.
    mutating func members(of report: TestReport, hiding hidden: HiddenTexts) {
        key("delivered")
        bool((200..<300).contains(report.status))
        key("status")
        if report.status == 0 { null() } else { integer(report.status) }
        key("error")
        string(orNull: report.error)
        key("milliseconds")
        number((report.seconds * 10_000).rounded() / 10)
        key("address")
        string(orNull: report.address)
        key("request")
        beginObject()
        key("url")
        string(report.url)
        key("headers")
        headers(report.requestHeaders, hidden)
        key("body")
        string(hidden.removed(from: report.requestBody))
        endObject()
        key("answer")
        beginObject()
        key("headers")
        headers(report.answerHeaders, hidden)
        key("body")
        string(hidden.removed(from: report.answer))
        endObject()
    }

    private mutating func headers(
        _ headers: [(name: String, value: String)], _ hidden: HiddenTexts
    ) {
        beginArray()
        for header in headers {
            beginObject()
            key("name")
            string(header.name)
            key("value")
            string(hidden.removed(from: Array(header.value.utf8)))
            endObject()
        }
        endArray()
    }
}

extension WebhookReplay {
    /// Where a replay is that no dispatcher works on.
    fileprivate var finalPosition: Int64 { status == .completed ? through : from - 1 }
}

/// What an endpoint is told and nobody is shown: its API key and the values of its headers.
struct HiddenTexts {
    private let texts: [String]

    /// Shorter ones are no secrets, and would blank out what has nothing to do with them.
    private static let bytesMin = 8

    init(of webhook: Webhook, _ box: SecretBox) throws {
        let secrets = try EndpointSecrets(
            sealed: webhook.settings.sealed, for: webhook.id, in: box)
        let values = secrets.headers.map(\.value) + [secrets.apiKey].compactMap(\.self)
        texts = values.filter { $0.utf8.count >= Self.bytesMin }.flatMap { value in
            // As it stands in a body of JSON, too.
            [
                value,
                String(
                    decoding: JSONValue.string(value).encoded.dropFirst().dropLast(),
                    as: UTF8.self),
            ]
        }
    }

    func removed(from bytes: [UInt8]) -> String {
        texts.reduce(String(decoding: bytes, as: UTF8.self)) {
            $0.replacing($1, with: "(hidden)")
        }
    }
}
