/// An endpoint that events are pushed to: what is delivered, where to, and in which form.
package struct Webhook: Sendable, Equatable {
    package let id: String
    package var settings: WebhookSettings
    /// The signing secret, sealed.
    package var secret: String
    /// The signing secret before the last rotation, still signed with for a while.
    package var previousSecret: PreviousSecret?
    package var status: WebhookStatus = .active
    /// Deliveries begin with the event at this position.
    package let start: Int64
    package var replays: [WebhookReplay] = []
    /// Of the event that created it: what tells it from an earlier one of the same name.
    package let createdPosition: Int64
    package let createdAt: Timestamp
    package var updatedAt: Timestamp
    /// Counts the events of its stream.
    package var version: Int64 = 1

    /// A secret that has been replaced.
    package struct PreviousSecret: Sendable, Equatable {
        package var sealed: String
        package var until: Timestamp
    }

    package var isActive: Bool { status == .active }
}

/// Whether an endpoint is delivered to.
package enum WebhookStatus: Sendable, Equatable {
    case active
    /// By an operator, until they resume it.
    case paused
    /// By the dispatcher, for a reason; until an operator resumes it.
    case disabled(reason: String)

    package var name: String {
        switch self {
        case .active: "active"
        case .paused: "paused"
        case .disabled: "disabled"
        }
    }
}

/// In which order an endpoint gets its events.
package enum DeliveryMode: String, Sendable, CaseIterable {
    /// In any order.
    case parallel
    /// Each event after the one before it of the same subject, run or experiment.
    case orderedByKey = "ordered-by-key"
    /// Each event after the one before it.
    case strict
}

/// How deliveries are signed.
package enum WebhookSignatureKind: String, Sendable, CaseIterable {
    /// HMAC-SHA256, `v1`: both sides hold the same secret.
    case hmac
    /// `v1a`: receivers hold the public half only.
    case ed25519
}

/// Which events an endpoint gets; all conditions hold together.
package struct WebhookFilter: Sendable, Equatable {
    /// Experiments that belong to this lab.
    package var lab: ResourceID?
    /// A managed experiment by its ID, or step experiments by their exact name.
    package var experiment: String?
    /// Step experiments of this function.
    package var function: String?

    package var isEmpty: Bool { self == WebhookFilter() }
}

/// What an operator says about an endpoint; secrets in it are sealed.
package struct WebhookSettings: Sendable, Equatable {
    package var url: String
    /// Types of events, each exact or with `*` at its end.
    package var events: [String]
    package var filter = WebhookFilter()
    /// The name of the encoder.
    package var encoder: String
    package var mode = DeliveryMode.orderedByKey
    /// Events in one request at most; nil leaves it to the encoder.
    package var batchCountMax: Int?
    /// Bytes of one request at most, before compression; nil leaves it to the encoder.
    package var batchBytesMax: Int?
    /// Networks in CIDR notation that the endpoint may be in, though they are not public.
    package var allow: [String] = []
    /// The names of headers that are sent along; their values are in ``sealed``.
    package var headers: [String] = []
    /// Requests in one second at most.
    package var rateLimit: Double?
    package var compressesBodies = false
    package var signature = WebhookSignatureKind.hmac
    /// PEM of the authorities to trust, in place of the system's.
    package var authorities: String?
    /// PEM of the certificate that the ledger shows; its key is in ``sealed``.
    package var certificate: String?
    /// What nobody should read: values of headers, API key, private key; as JSON, encrypted.
    package var sealed: String?

    package init(url: String, events: [String], encoder: String) {
        self.url = url
        self.events = events
        self.encoder = encoder
    }
}

/// A stretch of the log that is delivered again.
package struct WebhookReplay: Sendable, Equatable {
    /// Counts the replays of the endpoint from 1.
    package var number: Int
    package var from: Int64
    package var through: Int64
    /// Requests in one second at most; nil is as fast as the endpoint takes them.
    package var rateLimit: Double?
    package var status = Status.running
    package var requestedAt: Timestamp

    package enum Status: String, Sendable, CaseIterable {
        case running, cancelled, completed
    }
}

/// What can happen to an endpoint.
package enum WebhookChange: Sendable, Equatable {
    case created(WebhookSettings, secret: String, start: Int64)
    case updated(before: WebhookSettings, after: WebhookSettings)
    /// The one before is signed with, too, until a moment.
    case secretRotated(secret: String, previousUntil: Timestamp)
    case paused
    case resumed(from: String)
    case disabled(reason: String)
    case removed(WebhookSettings)
    case replayRequested(WebhookReplay)
    case replayCancelled(Int)
    case replayCompleted(Int)
    /// Events that were set aside are sent once more.
    case redelivered([Int64])

    var type: String {
        switch self {
        case .created: "WebhookCreated"
        case .updated: "WebhookUpdated"
        case .secretRotated: "WebhookSecretRotated"
        case .paused: "WebhookPaused"
        case .resumed: "WebhookResumed"
        case .disabled: "WebhookDisabled"
        case .removed: "WebhookRemoved"
        case .replayRequested: "WebhookReplayRequested"
        case .replayCancelled: "WebhookReplayCancelled"
        case .replayCompleted: "WebhookReplayCompleted"
        case .redelivered: "WebhookRedelivered"
        }
    }
}

/// What someone wants of an endpoint.
package enum WebhookCommand: Sendable {
    case create(id: String, WebhookSettings, secret: String, start: WebhookStart)
    /// Refused if the endpoint is at another version than the settings were made from.
    case update(WebhookSettings, expectedVersion: Int64)
    case rotateSecret(String)
    case pause
    case resume
    case disable(reason: String)
    case remove
    case replay(from: Int64, through: Int64, rateLimit: Double?)
    case cancelReplay(Int)
    case completeReplay(Int)
    case redeliver([Int64])
}

/// Where the deliveries of a new endpoint begin.
package enum WebhookStart: Sendable, Equatable {
    case now
    case position(Int64)
}

extension Webhook {
    /// Whether a text can be an endpoint's ID.
    package static func isID(_ id: String) -> Bool {
        (1...Limits.webhookIDBytesMax).contains(id.utf8.count) && id != "." && id != ".."
            && id.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte)
                    || (0x30...0x39).contains(byte)
                    || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
            }
    }

    /// What an ID may be, as an error message says it.
    package static let idRule =
        "A webhook's ID is 1 to \(Limits.webhookIDBytesMax) letters, digits, '-', '_' or '.'."

    /// The state after a change; nil once it is removed.
    func evolved(_ change: WebhookChange, _ context: EventContext) -> Webhook? {
        var webhook = self
        webhook.updatedAt = context.recordedAt
        webhook.version += 1
        switch change {
        case .created, .redelivered: break
        case .updated(_, let after): webhook.settings = after
        case .secretRotated(let secret, let until):
            webhook.previousSecret = PreviousSecret(sealed: webhook.secret, until: until)
            webhook.secret = secret
        case .paused: webhook.status = .paused
        case .resumed: webhook.status = .active
        case .disabled(let reason): webhook.status = .disabled(reason: reason)
        case .removed: return nil
        case .replayRequested(var replay):
            replay.requestedAt = context.recordedAt
            webhook.replays.append(replay)
        case .replayCancelled(let number): webhook.setReplay(number, .cancelled)
        case .replayCompleted(let number): webhook.setReplay(number, .completed)
        }
        return webhook
    }

    private mutating func setReplay(_ number: Int, _ status: WebhookReplay.Status) {
        guard let index = replays.firstIndex(where: { $0.number == number }) else { return }
        replays[index].status = status
    }
}

// MARK: Which events

extension WebhookSettings {
    /// Whether events of a type are delivered.
    ///
    /// What concerns keys and webhooks themselves has to be named: `*` alone leaves it out.
    package func selects(type: String) -> Bool {
        events.contains { pattern in
            guard pattern.hasSuffix("*") else { return pattern == type }
            let prefix = pattern.dropLast()
            if prefix.isEmpty { return !type.hasPrefix("Key") && !type.hasPrefix("Webhook") }
            return type.hasPrefix(prefix)
        }
    }
}
