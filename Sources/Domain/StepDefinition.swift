import JSON

/// How a step experiment names the variant of a run.
package enum SelectionStrategy: String, Sendable, CaseIterable {
    /// Drawn by the run.
    case weighted
    /// Drawn by a value, so that runs with the same value get the same variant.
    case bucket
    /// Named by the caller, or by the ledger's rollout table.
    case custom
    /// The same variant every time.
    case fixed
}

/// A variant's weight among the others; weights are relative.
package struct Weight: Sendable, Equatable {
    package var variant: String
    package var weight: Double

    package init(variant: String, weight: Double) {
        self.variant = variant
        self.weight = weight
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.weight == right.weight && left.variant.isExactly(right.variant)
    }
}

/// What code declares of a step experiment: what a cohort is to a managed one.
package struct StepDefinition: Sendable, Equatable {
    package var strategy: SelectionStrategy
    /// In the order in which they were declared.
    package var variants: [String]
    /// In the order in which they were declared; nil where there are none.
    package var weights: [Weight]?
    package var hashVersion: HashVersion
    /// The variant that ``SelectionStrategy/fixed`` gives.
    package var fixed: String?

    package init(
        strategy: SelectionStrategy, variants: [String], weights: [Weight]? = nil,
        hashVersion: HashVersion = .plain, fixed: String? = nil
    ) {
        self.strategy = strategy
        self.variants = variants
        self.weights = weights
        self.hashVersion = hashVersion
        self.fixed = fixed
    }

    package static func == (left: Self, right: Self) -> Bool { left.signature == right.signature }

    /// The same for definitions that select alike; the order of declaration is no part of it.
    package var signature: [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        writer.string(strategy.rawValue)
        writer.integer(hashVersion.rawValue)
        writer.string(orNull: fixed)
        for variant in variants.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            writer.string(variant)
        }
        if let weights {
            writer.beginArray()
            let sorted = weights.sorted {
                $0.variant.utf8.lexicographicallyPrecedes($1.variant.utf8)
            }
            for weight in sorted {
                writer.string(weight.variant)
                writer.number(weight.weight)
            }
            writer.endArray()
        }
        writer.endArray()
        return writer.bytes
    }

    /// Whether the definitions are written alike: then they also select alike.
    func isWritten(like other: Self) -> Bool {
        strategy == other.strategy && hashVersion == other.hashVersion
            && (fixed ?? "").isExactly(other.fixed ?? "")
            && variants.count == other.variants.count
            && zip(variants, other.variants).allSatisfy { $0.isExactly($1) }
            && weights == other.weights
    }

    /// The share of runs that each variant is meant to get; nil where nothing is drawn.
    package var splits: [Weight]? {
        guard strategy == .weighted || strategy == .bucket else { return nil }
        return weights ?? variants.map { Weight(variant: $0, weight: 1) }
    }
}

/// A step experiment as it stands: it came to be with its first selection.
package struct DeclaredExperiment: Sendable, Equatable {
    package var key: StepKey
    /// In force for new selections.
    package var definition: StepDefinition
    /// Which of the definitions that is, counted from 1 as they were first seen.
    package var number: Int
    package var createdAt: Timestamp
    /// When the definition in force became so.
    package var updatedAt: Timestamp
    /// Of the event that made it so.
    package var position: Int64
    /// Of the stream `step/FUNCTION/NAME`.
    package private(set) var version: Int64 = 1
    /// The numbers of all definitions seen, by their signatures.
    package private(set) var numbers: [[UInt8]: Int]

    init(_ key: StepKey, _ definition: StepDefinition, _ context: EventContext) {
        self.key = key
        self.definition = definition
        number = 1
        createdAt = context.recordedAt
        updatedAt = context.recordedAt
        position = context.position
        numbers = [definition.signature: 1]
    }

    mutating func change(to definition: StepDefinition, number: Int, _ context: EventContext) {
        self.definition = definition
        self.number = number
        updatedAt = context.recordedAt
        position = context.position
        version += 1
        numbers[definition.signature] = number
    }
}
