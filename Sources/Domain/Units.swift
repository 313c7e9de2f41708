/// What takes part in an experiment: a subject of a managed one, a run of a step experiment.

/// Names a step experiment: two functions may use the same name.
///
/// Names are exact: composed and decomposed forms of a letter make two names, though Swift calls
/// such texts equal.
package struct StepKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let function: String
    package let name: String

    package init(function: String, name: String) {
        self.function = function
        self.name = name
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.name.isExactly(right.name) && left.function.isExactly(right.function)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(exactly: function)
        hasher.combine(exactly: name)
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.function.isExactly(right.function)
            ? left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
            : left.function.utf8.lexicographicallyPrecedes(right.function.utf8)
    }

    package var description: String { "\(name) of function \(function)" }
}

/// Names an experiment of either kind.
package enum ExperimentKey: Sendable, Hashable, CustomStringConvertible {
    case managed(ResourceID)
    case step(StepKey)

    package var description: String {
        switch self {
        case .managed(let id): id.text
        case .step(let step): step.description
        }
    }
}

/// Names one unit's place in one experiment.
///
/// Hashed once, when it is made: dictionaries of keys compare the hash before the text.
package struct UnitKey: Sendable, Hashable {
    package let experiment: ExperimentKey
    /// The subject or the run; opaque bytes.
    package let unit: String
    private let digest: Int

    package init(_ experiment: ExperimentKey, _ unit: String) {
        self.experiment = experiment
        self.unit = unit
        var hasher = Hasher()
        switch experiment {
        case .managed(let id): hasher.combine(exactly: id.text)
        case .step(let step): step.hash(into: &hasher)
        }
        hasher.combine(exactly: unit)
        digest = hasher.finalize()
    }

    package init(experiment: ResourceID, subject: String) {
        self.init(.managed(experiment), subject)
    }

    package init(step: StepKey, run: String) { self.init(.step(step), run) }

    package func hash(into hasher: inout Hasher) { hasher.combine(digest) }

    package static func == (left: Self, right: Self) -> Bool {
        left.digest == right.digest && left.unit.isExactly(right.unit)
            && left.experiment == right.experiment
    }

    /// The stream of the event that gave the unit its variant, and of its scores.
    package var stream: String {
        switch experiment {
        case .managed(let id): StreamName.assignment(id, unit)
        case .step(let step): StreamName.selection(step, unit)
        }
    }

    /// Whether PostgreSQL could hold a unit of this name.
    package var isValid: Bool { isValidSubject(unit) }

    /// What the unit is, as a message names it.
    package var text: String {
        switch experiment {
        case .managed: "subject \(unit)"
        case .step: "run \(unit)"
        }
    }
}

/// A unit's variant, for ever.
package struct Placement: Sendable, Equatable {
    package var variant: String
    /// Of a subject, the cohort it drew from; of a run, the number of the definition that decided.
    package var cohort: Int
    /// The number the draw fell on, in [0, 1]; nil where nothing was drawn.
    package var u: Double?
    /// Whether the bucket value was missing or null.
    package var isNullishBucket = false
    /// Of the event that says so; 0 before it has one.
    package var position: Int64 = 0
    /// Of the unit's stream: 1 for the variant, and one for each score.
    package var version: Int64 = 1

    package init(
        variant: String, cohort: Int, u: Double?, isNullishBucket: Bool = false,
        position: Int64 = 0, version: Int64 = 1
    ) {
        self.variant = variant
        self.cohort = cohort
        self.u = u
        self.isNullishBucket = isNullishBucket
        self.position = position
        self.version = version
    }
}

extension LedgerEvent {
    /// Whether the event gives a unit its variant.
    package var placesUnit: Bool {
        switch self {
        case .assignmentMade, .variantSelected: true
        default: false
        }
    }

    /// The unit that the event gives its variant, if it is such an event.
    package var placed: (UnitKey, Placement)? {
        switch self {
        case .assignmentMade(let made):
            (
                UnitKey(experiment: made.experiment, subject: made.subject),
                Placement(variant: made.variant.text, cohort: made.cohort, u: made.u)
            )
        case .variantSelected(let selected):
            (
                UnitKey(step: selected.step, run: selected.run),
                Placement(
                    variant: selected.variant, cohort: selected.definition, u: selected.h,
                    isNullishBucket: selected.isNullishBucket)
            )
        default: nil
        }
    }
}

// MARK: Exact texts

extension String {
    /// Whether the texts are the same byte for byte.
    package func isExactly(_ other: String) -> Bool {
        let (mine, theirs) = (utf8.span, other.utf8.span)
        guard mine.count == theirs.count else { return false }
        for index in mine.indices where mine[index] != theirs[index] { return false }
        return true
    }
}

extension [String] {
    /// Whether one of the texts is the other byte for byte.
    package func containsExactly(_ text: String) -> Bool { contains { $0.isExactly(text) } }
}

extension Hasher {
    package mutating func combine(exactly text: String) {
        text.utf8.span.withUnsafeBytes { combine(bytes: $0) }
        // Bytes of UTF-8 are never 0xFF, so it tells where a text ends.
        combine(UInt8.max)
    }
}

/// A text that is the same only byte for byte, as a key.
package struct ExactText: Sendable, Hashable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (left: Self, right: Self) -> Bool { left.text.isExactly(right.text) }

    package func hash(into hasher: inout Hasher) { hasher.combine(exactly: text) }
}
