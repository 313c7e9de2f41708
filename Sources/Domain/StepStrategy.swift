import JSON

/// How a step experiment's seed is made.
package enum HashVersion: Int, Sendable, CaseIterable {
    /// The run or the value alone: what the SDK does.
    case plain = 1
    /// With the function's and the experiment's names, so that experiments split independently.
    case salted = 2
}

/// How the variant of a run is found; weights are in the order in which they were declared.
package enum StepStrategy: Sendable {
    /// Drawn by the run.
    case weighted([(String, Double)])
    /// Drawn by a value; a missing one is like null. Without weights every variant has weight 1.
    case bucket(JSONValue?, weights: [(String, Double)]? = nil)
    /// Named by the caller, or by a rollout table.
    case custom(String)
    /// The same variant every time.
    case fixed(String)
}

/// The variant of a run, and how it was found.
package struct StepSelection: Sendable {
    package var variant: String
    /// The number in [0, 1) that decided; nil where nothing was drawn.
    package var h: Double?
    /// The names with weights in the order of the walk; empty where nothing was drawn.
    package var walk: [String] = []
    /// SHA-256 of the bucket's value as a text, in hexadecimal; nil where there was no bucket.
    package var bucketHash: String?
    /// Whether the bucket's value was null or missing, and so counted as the empty text.
    package var nullishBucket = false
}

/// Why no variant could be selected.
package enum StepSelectionError: Error, Sendable, Equatable, CustomStringConvertible {
    case noVariants
    case emptyVariantName
    case duplicateVariant(String)
    case duplicateWeight(String)
    case invalidWeight(String, Double)
    /// There are no weights, or all of them are 0.
    case noWeight
    case undeclaredVariant(String, declared: [String])

    package var description: String {
        switch self {
        case .noVariants: "There are no variants to select from; declare at least one."
        case .emptyVariantName: "A variant's name is empty; give each variant a name."
        case .duplicateVariant(let name):
            "Variant \(name) is declared more than once; declare each variant once."
        case .duplicateWeight(let name):
            "Variant \(name) has more than one weight; give each variant one weight."
        case .invalidWeight(let name, let weight):
            "The weight of \(name) is \(weight.javaScriptText); give a finite number of at least 0."
        case .noWeight: "No variant has a weight above 0; give at least one variant such a weight."
        case .undeclaredVariant(let name, let declared):
            "\(name) is selected, but it is none of the declared variants "
                + "(\(declared.joined(separator: ", "))); declare it, or select another."
        }
    }
}
