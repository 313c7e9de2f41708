import JSON

/// What someone asks the ledger to do; ``Decider`` turns it into events or refuses it.
package enum Command: Sendable {
    /// Make resources be as their documents say, all of them or none.
    case apply([ResourceDocument], ApplyOptions)
    /// One step of an experiment's life.
    case step(ResourceID, LifecycleStep)
    /// Record these events, all of them or none.
    case append([ProposedEvent])
    /// Get or create the variants of many subjects of one experiment.
    case assign(ResourceID, subjects: [String])
    /// Get or create one subject's variants in many experiments.
    case assignSubject(String, experiments: [ResourceID])
    case createKey(Key)
    case revokeKey(id: String)

    /// The assignments a decision has to know about.
    package var assignmentKeys: [AssignmentKey] {
        switch self {
        case .assign(let experiment, let subjects):
            subjects.map { AssignmentKey(experiment: experiment, subject: $0) }
        case .assignSubject(let subject, let experiments):
            experiments.map { AssignmentKey(experiment: $0, subject: subject) }
        case .append(let events): events.compactMap(\.assignmentKey)
        case .apply, .step, .createKey, .revokeKey: []
        }
    }
}

package struct ApplyOptions: Sendable, Equatable {
    /// `If-Match`: the resource version the document was made from.
    package var expectedResourceVersion: Int64?
    /// Allows a status to go back, for this reason.
    package var reopenReason: String?

    package init(expectedResourceVersion: Int64? = nil, reopenReason: String? = nil) {
        self.expectedResourceVersion = expectedResourceVersion
        self.reopenReason = reopenReason
    }
}

package enum LifecycleStep: Sendable, Equatable {
    case activate
    case addCohort(CohortDocument)
    case declareWinner(ResourceID)
    case end(EndedReason)
    case archive(EndedReason?)
    case reopen(to: ExperimentStatus, reason: String)
}

/// An event as a client proposes it; the ledger fills in and checks the rest.
package struct ProposedEvent: Sendable, Equatable {
    package var type: String
    package var data: JSONValue
    /// The client's own ID for the event, which makes the append idempotent.
    package var id: EventID?
    /// If given, the stream the event must belong to.
    package var stream: String?
    package var expectedVersion: ExpectedVersion = .any
    package var correlation: String?

    package init(type: String, data: JSONValue) {
        self.type = type
        self.data = data
    }

    fileprivate var assignmentKey: AssignmentKey? {
        // Read as the decision reads it, or it would not find the assignment that exists.
        let reader = DocumentReader(data, "", Problems())
        guard type == "AssignmentMade", let subject = reader.text("subject"),
            let experiment = reader.id("experiment")
        else { return nil }
        return AssignmentKey(experiment: experiment, subject: subject)
    }
}

/// What an append expects of its stream.
package enum ExpectedVersion: Sendable, Equatable {
    case any
    case none
    case exists
    case exactly(Int64)

    package func admits(_ version: Int64) -> Bool {
        switch self {
        case .any: true
        case .none: version == 0
        case .exists: version > 0
        case .exactly(let expected): version == expected
        }
    }
}

/// Names one subject's place in one experiment.
///
/// Hashed once, when it is made: dictionaries of keys compare the hash before the text.
package struct AssignmentKey: Sendable, Hashable {
    package let experiment: ResourceID
    package let subject: String
    private let digest: Int

    package init(experiment: ResourceID, subject: String) {
        self.experiment = experiment
        self.subject = subject
        var hasher = Hasher()
        experiment.text.utf8.span.withUnsafeBytes { hasher.combine(bytes: $0) }
        subject.utf8.span.withUnsafeBytes { hasher.combine(bytes: $0) }
        digest = hasher.finalize()
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(digest) }

    /// Subjects are opaque bytes: composed and decomposed forms of a letter are two subjects,
    /// though Swift calls such texts equal.
    package static func == (left: Self, right: Self) -> Bool {
        guard left.digest == right.digest else { return false }
        let (mine, theirs) = (left.subject.utf8.span, right.subject.utf8.span)
        guard mine.count == theirs.count, left.experiment == right.experiment else { return false }
        for index in mine.indices where mine[index] != theirs[index] { return false }
        return true
    }
}

/// What a subject was given, and why.
package struct AssignmentAnswer: Sendable, Equatable {
    package var experiment: ResourceID
    package var subject: String
    package var variant: ResourceID?
    package var cohort: Int?
    package var reason: AssignmentReason
    /// The log position the answer rests on.
    package var position: Int64

    package init(
        experiment: ResourceID, subject: String, variant: ResourceID? = nil, cohort: Int? = nil,
        reason: AssignmentReason, position: Int64
    ) {
        self.experiment = experiment
        self.subject = subject
        self.variant = variant
        self.cohort = cohort
        self.reason = reason
        self.position = position
    }
}

/// What an apply did to one resource.
package struct AppliedResource: Sendable, Equatable {
    package enum Action: String, Sendable { case created, updated, unchanged }

    package var kind: ResourceKind
    package var id: ResourceID
    package var action: Action
    package var resourceVersion: Int64
}

/// An event that a decision wants recorded.
package struct DecidedEvent: Sendable, Equatable {
    package var event: LedgerEvent
    package var id: EventID?
    package var correlation: String?
}

/// The events a command leads to, and what to tell whoever asked.
package struct Decision: Sendable, Equatable {
    package var events: [DecidedEvent] = []
    package var resources: [AppliedResource] = []
    package var assignments: [AssignmentAnswer] = []
    /// For each proposed event of an append, which of ``events`` it became.
    package var proposed: [Int] = []
}
