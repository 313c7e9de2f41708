import JSON

/// What someone asks the ledger to do; ``Decider`` turns it into events or refuses it.
package enum Command: Sendable {
    /// Make resources be as their documents say, all of them or none.
    case apply([ResourceDocument], ApplyOptions)
    /// One step of an experiment's life.
    indirect case step(ResourceID, LifecycleStep)
    /// Record these events, all of them or none.
    case append([ProposedEvent])
    /// Get or create the variants of many subjects of one experiment.
    case assign(ResourceID, subjects: [String])
    /// Get or create one subject's variants in many experiments.
    case assignSubject(String, experiments: [ResourceID])
    /// The same for any subjects and experiments, of which some seal their subjects.
    case assignSealed([SealedQuestion])
    /// Get or create the variant of a run.
    indirect case select(SelectionRequest)
    /// Name variants for keys in a step experiment's rollout table.
    case rollOut(StepKey, RolloutRequest)
    /// Record scores, all of them or none.
    case score([ScoreRequest])
    /// Take a score back.
    case retract(RetractionRequest)
    /// Record that a sealed subject is erased; nil where there is none to erase.
    indirect case erase(ErasureRequest?)
    indirect case createKey(Key)
    case revokeKey(id: String)
    /// Create an endpoint for webhooks, or change the one of that ID.
    indirect case webhook(String, WebhookCommand)
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

/// What a subject was given, and why.
package struct AssignmentAnswer: Sendable, Equatable {
    package var experiment: ResourceID
    package var subject: String
    package var variant: String?
    package var cohort: Int?
    package var reason: AssignmentReason
    /// The log position the answer rests on.
    package var position: Int64

    package init(
        experiment: ResourceID, subject: String, variant: String? = nil, cohort: Int? = nil,
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
    /// Of a unit's stream; nil where the versions of the stream are counted in memory.
    package var version: Int64?
}

/// The variant of a run, and whether it had it before.
package struct SelectionAnswer: Sendable, Equatable {
    package var key: UnitKey
    package var placement: Placement
    package var isMemoized: Bool
    /// Hexadecimal SHA-256 of the bucket value; nil where there is none, or it was long ago.
    package var bucketHash: String?

    package init(
        key: UnitKey, placement: Placement, isMemoized: Bool, bucketHash: String? = nil
    ) {
        self.key = key
        self.placement = placement
        self.isMemoized = isMemoized
        self.bucketHash = bucketHash
    }
}

/// The events a command leads to, and what to tell whoever asked.
package struct Decision: Sendable {
    package var events: [DecidedEvent] = []
    package var resources: [AppliedResource] = []
    package var assignments: [AssignmentAnswer] = []
    package var selection: SelectionAnswer?
    /// Placements that the events made or whose streams they lengthened.
    package var placed: [(UnitKey, Placement)] = []
    /// For each proposed event of an append, which of ``events`` it became.
    package var proposed: [Int] = []
}
