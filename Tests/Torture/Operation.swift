import EventLog

/// What one command has to leave in the log, once.
///
/// A client names it before it asks, and the checker finds it again in the log's lines.
package struct Effect: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let description: String

    /// A subject of the experiment has a variant.
    package static func assigned(_ subject: String) -> Effect { Effect("assigned", subject) }
    /// A run of the step experiment has a variant.
    package static func selected(_ run: String) -> Effect { Effect("selected", run) }
    /// The event with the client's own ID is there.
    package static func event(_ id: String) -> Effect { Effect("event", id) }
    /// The score with this value, which no other has, is there.
    package static func scored(_ value: Int64) -> Effect { Effect("scored", String(value)) }

    private init(_ verb: String, _ object: String) { description = "\(verb) \(object)" }

    /// Whether it is a variant that is given.
    var isVariant: Bool { description.hasPrefix("assigned ") || description.hasPrefix("selected ") }

    package static func < (left: Effect, right: Effect) -> Bool {
        left.description < right.description
    }
}

/// One request of one client, sent once; a repetition is another operation.
package struct Operation: Sendable, Equatable {
    /// What was asked for.
    package enum Request: Sendable, Equatable {
        /// That these be there, all or none; get-or-create where they are variants.
        case write([Effect])
        /// What is known of an effect.
        case read(Effect)
        /// The log's lines after a position, at most so many.
        case page(after: Int64, limit: Int)
    }

    package enum Outcome: Sendable, Equatable {
        case answered(Answer)
        /// The ledger says no: nothing that these clients ask for may be refused.
        case refused(String)
        /// No answer, or one that says to try again: it may have happened or not.
        case unknown(String)
    }

    package var client: Int
    package var node: Int
    /// Microseconds since the run's start, by one clock.
    package var invoked: Int64
    package var completed: Int64
    package var request: Request
    /// The Idempotency-Key, or the event's own ID.
    package var key: String?
    /// The position that the client asked to be waited for.
    package var minPosition: Int64?
    package var outcome: Outcome

    package init(
        client: Int, node: Int, invoked: Int64, completed: Int64, request: Request,
        key: String? = nil, minPosition: Int64? = nil, outcome: Outcome
    ) {
        self.client = client
        self.node = node
        self.invoked = invoked
        self.completed = completed
        self.request = request
        self.key = key
        self.minPosition = minPosition
        self.outcome = outcome
    }

    package var answer: Answer? {
        if case .answered(let answer) = outcome { answer } else { nil }
    }
}

/// What a client was told.
package struct Answer: Sendable, Equatable {
    /// `X-Ledger-Position`.
    package var position: Int64?
    /// What is said of the effects that are said to be there.
    package var facts: [Effect: Fact]
    /// The hashes of a page's lines.
    package var lines: [Digest]
    /// Of all that was said.
    package var body: Digest

    package init(
        position: Int64? = nil, facts: [Effect: Fact] = [:], lines: [Digest] = [],
        body: [UInt8] = []
    ) {
        self.position = position
        self.facts = facts
        self.lines = lines
        self.body = MerkleFrontier.leaf(body)
    }
}

/// Where an effect stands in the log, and what it gave.
package struct Fact: Sendable, Equatable, CustomStringConvertible {
    package var position: Int64
    /// Nil where the effect gives none.
    package var variant: String?

    package init(position: Int64, variant: String? = nil) {
        self.position = position
        self.variant = variant
    }

    package var description: String {
        "position \(position)" + (variant.map { ", variant \($0)" } ?? "")
    }
}
