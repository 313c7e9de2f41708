/// What happens to units and to the experiments that code declares.

/// A subject got its variant, for as long as the experiment is active.
package struct AssignmentMade: Sendable, Equatable {
    package var experiment: ResourceID
    package var subject: String
    package var subjectType: ResourceID
    package var variant: ResourceID
    package var cohort: Int
    package var u: Double
    /// The subject's ID, encrypted, where ``subject`` is its token; see ``Seal``.
    package var sealed: String?
}

/// A run got its variant.
package struct VariantSelected: Sendable, Equatable {
    package var step: StepKey
    package var run: String
    package var variant: String
    /// What was declared when the run asked.
    package var declared: StepDefinition
    /// The number of that definition.
    package var definition: Int
    /// The number the draw fell on; nil where nothing was drawn.
    package var h: Double?
    package var isNullishBucket = false
    /// Hexadecimal SHA-256 of the bucket value as a text; nil for other strategies.
    package var bucketHash: String?
    /// The position of the rollout table's entry that named the variant, if one did.
    package var rollout: Int64?
    package var appVersion: String?
    package var sdkVersion: String?
}

/// A key of a rollout table got another variant, or none.
package struct RolloutChanged: Sendable, Equatable {
    package var step: StepKey
    package var key: String
    package var variant: String?
    package var previous: String?
}

/// A number, or a truth that counts as 1 and 0.
package enum ScoreValue: Sendable, Equatable {
    /// Finite.
    case number(Double)
    case boolean(Bool)

    /// What it counts as.
    package var number: Double {
        switch self {
        case .number(let number): number
        case .boolean(let flag): flag ? 1 : 0
        }
    }

    package var isBoolean: Bool { if case .boolean = self { true } else { false } }
}

/// An outcome of a unit.
package struct ScoreRecorded: Sendable, Equatable {
    package var unit: UnitKey
    /// The variant the unit has; nil where it has none and the score was kept nevertheless.
    package var variant: String?
    /// As in ``Placement/cohort``; nil with the variant.
    package var cohort: Int?
    package var name: String
    package var value: ScoreValue
    package var occurredAt: Timestamp
    package var stepID: String?
    /// A JSON object, as text.
    package var metadata: [UInt8]?
    /// The subject's ID, encrypted, where the unit is a token and no event before says it.
    package var sealed: String?
}

/// A score was taken back.
package struct ScoreRetracted: Sendable, Equatable {
    /// What it said.
    package var score: ScoreRecorded
    /// Where it stands in the log.
    package var position: Int64
    package var reason: String?
}

/// The key of a sealed subject is no more: what the log holds of it can't be read again.
package struct SubjectErased: Sendable, Equatable {
    package var token: String
    package var reason: String?
    /// Those that the subject took part in, or that hold scores of it.
    package var experiments: [ResourceID]
}
