import Crypto
import Domain
import JSON

/// Who asks, and how the answer is tied to the question.
package struct CommandContext: Sendable {
    /// `key/ID`, or `local` where no key is needed.
    package var actor: String
    package var correlation: String?
    package var idempotency: Idempotency?

    package init(actor: String, correlation: String? = nil, idempotency: Idempotency? = nil) {
        self.actor = actor
        self.correlation = correlation
        self.idempotency = idempotency
    }

    /// Under which the answer is kept.
    var idempotencyKey: String? { idempotency.map { "key/\(actor)/\($0.key)" } }

    /// What makes a repeated request get the first one's answer.
    package struct Idempotency: Sendable {
        /// The client's key.
        package var key: String
        /// SHA-256 of the request.
        package var request: Digest
        /// Makes the answer that is kept and given again.
        package var answer: @Sendable (Receipt) -> [UInt8]

        package init(
            key: String, request: Digest, answer: @escaping @Sendable (Receipt) -> [UInt8]
        ) {
            self.key = key
            self.request = request
            self.answer = answer
        }
    }
}

/// An event's place in the log.
package struct RecordedEvent: Sendable, Equatable {
    package var position: Int64
    package var id: EventID
    package var stream: String
    package var version: Int64
    package var type: String
    package var data: [UInt8]
    /// Of a score, the variant it is credited to; nil where it is unattributed.
    package var variant: String?
}

/// What came of a command, once it is committed.
package struct Receipt: Sendable {
    /// All events of the command, in order; empty where answers to units say it all.
    package var events: [RecordedEvent] = []
    package var resources: [AppliedResource] = []
    package var assignments: [AssignmentAnswer] = []
    package var selection: SelectionAnswer? {
        get { selections.first }
        set { selections = newValue.map { [$0] } ?? [] }
    }
    /// One at most, in a list because that keeps receipts small, which go from thread to thread.
    private var selections: [SelectionAnswer] = []
    /// The places of the events an append proposed, in the order they were proposed.
    package var appended: [RecordedEvent] = []
    /// The position of the last event before the answer: the command's own, if it has any.
    package var position: Int64 = 0
    /// The first answer, where this is a repetition.
    package var replayedAnswer: [UInt8]?
    /// Whether every proposed event was in the log already.
    package var isReplay = false
}

/// Why a command has no receipt.
package enum SequencerError: Error, Sendable {
    case refused(Refusal)
    /// The queue is full; nothing was recorded.
    case busy
    /// The ledger is shutting down; nothing was recorded.
    case stopping
    /// The database could not be reached; nothing was recorded.
    case unavailable
    /// Another node leads; nothing was recorded.
    case notLeading
    /// The database refused the commit; nothing was recorded.
    case failed(String)
    /// The ledger stopped before it could learn whether the commit succeeded.
    case outcomeUnknown
}

/// A command on its way through the sequencer.
struct Submission: Sendable {
    let command: Command
    let context: CommandContext
    /// Called once, with what came of the command.
    let reply: @Sendable (Result<Receipt, SequencerError>) -> Void

    var isAppend: Bool { if case .append = command { true } else { false } }

    /// Events the command can lead to, roughly: what a batch is measured by.
    var weight: Int {
        switch command {
        case .assign(_, let subjects): subjects.count
        case .assignSubject(_, let experiments): experiments.count
        case .assignSealed(let questions): questions.count
        case .append(let events): events.count
        case .score(let requests): requests.count
        case .rollOut(_, let request): request.entries.count
        case .select: 2
        case .apply(let documents, _): documents.count * 4
        case .step, .retract, .erase, .createKey, .revokeKey, .webhook: 1
        }
    }

    /// Keys under which earlier answers to this command would be kept.
    var idempotencyKeys: [String] {
        var keys: [String] = []
        if let key = idempotencyKey { keys.append(key) }
        switch command {
        case .append(let proposals): keys += proposals.compactMap { $0.id.map(Self.key(of:)) }
        case .score(let requests): keys += requests.compactMap { $0.id.map(Self.key(of:)) }
        default: break
        }
        return keys
    }

    /// Keys of different actors never meet.
    var idempotencyKey: String? { context.idempotencyKey }

    static func key(of id: EventID) -> String { "event/\(id)" }
}

/// An answer that was given before.
struct KeptAnswer: Sendable {
    var request: Digest
    var answer: [UInt8]
}

/// An event that someone wants recorded, perhaps under an ID of their own.
protocol Proposal {
    var type: String { get }
    var id: EventID? { get }
    /// SHA-256 of what makes two proposals with one ID the same.
    var requestDigest: Digest { get }
}

extension ScoreRequest: Proposal {
    package var type: String { "ScoreRecorded" }

    package var requestDigest: Digest {
        var writer = JSONWriter()
        writer.beginArray()
        writer.string(unit.stream)
        writer.string(name)
        switch value {
        case .number(let number): writer.number(number)
        case .boolean(let flag): writer.bool(flag)
        }
        writer.string(orNull: occurredAt?.description)
        writer.string(orNull: variant)
        writer.string(orNull: stepID)
        if let metadata { writer.raw(metadata) }
        writer.endArray()
        return Digest(SHA256.hash(data: writer.bytes))
    }
}

extension ProposedEvent: Proposal {
    package var requestDigest: Digest {
        var writer = JSONWriter()
        writer.beginArray()
        writer.string(type)
        writer.value(data)
        writer.endArray()
        return Digest(SHA256.hash(data: writer.bytes))
    }
}

extension RecordedEvent {
    /// The place alone, as it is kept for a proposal that comes again.
    var place: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("id")
        writer.string(id.description)
        writer.key("stream")
        writer.string(stream)
        writer.key("version")
        writer.integer(version)
        writer.key("position")
        writer.integer(position)
        if let variant {
            writer.key("variant")
            writer.string(variant)
        }
        writer.endObject()
        return writer.bytes
    }

    init?(place: [UInt8], type: String) {
        guard let json = try? JSONValue.parse(place),
            let id = json["id"]?.string.flatMap({ EventID($0) }),
            let stream = json["stream"]?.string, let version = json["version"]?.integer,
            let position = json["position"]?.integer
        else { return nil }
        self.init(
            position: position, id: id, stream: stream, version: version, type: type, data: [],
            variant: json["variant"]?.string)
    }
}
