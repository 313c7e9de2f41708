/// The kinds of resource, named as in documents.
package enum ResourceKind: String, Sendable, CaseIterable {
    case lab
    case subjectType = "subjecttype"
    case experiment

    package func stream(_ id: ResourceID) -> String {
        switch self {
        case .lab: StreamName.lab(id)
        case .subjectType: StreamName.subjectType(id)
        case .experiment: StreamName.experiment(id)
        }
    }
}

/// The life of an experiment; later cases come later in it.
package enum ExperimentStatus: String, Sendable, CaseIterable, Comparable {
    case draft
    case active
    case winnerDeclared = "winner_declared"
    case ended
    case archived

    package static func < (left: Self, right: Self) -> Bool { left.order < right.order }

    private var order: Int {
        switch self {
        case .draft: 0
        case .active: 1
        case .winnerDeclared: 2
        case .ended: 3
        case .archived: 4
        }
    }
}

/// Labs and subject types are only active or archived.
package enum GroupStatus: String, Sendable, CaseIterable {
    case active
    case archived
}

/// Why an experiment was ended.
package enum EndedReason: String, Sendable, CaseIterable {
    case success
    case techIssue = "tech_issue"
    case noLongerNeeded = "no_longer_needed"
    case noStatSig = "no_stat_sig"
    case other

    package static let rule = "use one of " + allCases.map(\.rawValue).joined(separator: ", ")
}

/// When an entity came to be and when it last changed, taken from its events.
package struct Provenance: Sendable, Equatable {
    /// Counts updates; 1 when created, 0 for what exists without an event.
    package var resourceVersion: Int64 = 0
    package var createdAt: Timestamp?
    package var updatedAt: Timestamp?
    /// The position of the latest event of the entity.
    package var position: Int64 = 0
}

/// A lab or a subject type: a name under which experiments or subjects are grouped.
package struct Group: Sendable, Equatable {
    package var id: ResourceID
    package var name: String?
    package var description: String?
    package var status: GroupStatus = .active
    package var provenance = Provenance()
}

package struct Variant: Sendable, Equatable {
    package var id: ResourceID
    package var isControl: Bool
    package var name: String?
    package var description: String?
}

/// One variant's share of a cohort.
package struct Split: Sendable, Equatable {
    package var variant: ResourceID
    /// In [0, 1].
    package var split: Double
}

/// The splits in force for new subjects from a moment on.
package struct Cohort: Sendable, Equatable {
    package var index: Int
    package var createdAt: Timestamp
    package var splits: [Split]
}

package struct Link: Sendable, Equatable {
    package var name: String
    package var target: String
}

package struct Experiment: Sendable, Equatable {
    package var id: ResourceID
    package var name: String?
    package var description: String?
    package var status: ExperimentStatus = .draft
    package var lab: ResourceID
    package var subjectType: ResourceID
    package var hypothesis: String?
    package var links: [Link] = []
    /// Whether the log names subjects by tokens only; see ``Seal``.
    package var isSealed = false
    package var variants: [Variant] = []
    package var cohorts: [Cohort] = []
    /// The winner last declared; kept when the experiment ends.
    package var winner: ResourceID?
    package var endedReason: EndedReason?
    package var provenance = Provenance()
    /// The position of the event that gave the experiment its present status or winner.
    package var statusPosition: Int64 = 0
    /// Whether it has ever been active, so that subjects may have variants.
    package var hasBeenActive = false

    package func variant(_ id: ResourceID) -> Variant? { variants.first { $0.id == id } }

    /// The first cohort that gives the variant a place, however small.
    package func cohort(naming variant: ResourceID) -> Cohort? {
        cohorts.first { $0.splits.contains { $0.variant == variant } }
    }
}

/// What a key may do; each role may also do what the ones after it may.
package enum Role: String, Sendable, CaseIterable {
    /// Everything, keys included.
    case admin
    /// Changes experiments, and all that an assigner does.
    case editor
    /// Asks for assignments, and reads.
    case assigner
    /// Reads.
    case reader

    package func allows(_ needed: Role) -> Bool { rank >= needed.rank }

    private var rank: Int {
        switch self {
        case .admin: 3
        case .editor: 2
        case .assigner: 1
        case .reader: 0
        }
    }
}

/// A key as the log knows it: a salted hash, never the secret.
package struct Key: Sendable, Equatable {
    package var id: String
    package var role: Role
    package var name: String?
    /// Hexadecimal, 16 bytes.
    package var salt: String
    /// Hexadecimal SHA-256 of the salt's bytes followed by the secret's.
    package var hash: String
    package var createdAt: Timestamp?
    package var revokedAt: Timestamp?

    package init(id: String, role: Role, name: String?, salt: String, hash: String) {
        self.id = id
        self.role = role
        self.name = name
        self.salt = salt
        self.hash = hash
    }
}
