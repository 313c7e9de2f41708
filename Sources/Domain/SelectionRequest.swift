import JSON

/// A run asks for its variant of a step experiment.
package struct SelectionRequest: Sendable, Equatable {
    package var step: StepKey
    package var run: String
    package var declared: StepDefinition
    /// What a bucket draws by, or the key that a custom strategy looks up in the rollout table.
    package var value: JSONValue?
    /// What a custom strategy has chosen, or falls back to where the table has no entry.
    package var variant: String?
    package var appVersion: String?
    package var sdkVersion: String?

    package init(
        step: StepKey, run: String, declared: StepDefinition, value: JSONValue? = nil,
        variant: String? = nil
    ) {
        self.step = step
        self.run = run
        self.declared = declared
        self.value = value
        self.variant = variant
    }

    package var key: UnitKey { UnitKey(step: step, run: run) }

    /// The entry of the rollout table that is asked for, if one is.
    package var rolloutKey: RolloutKey? {
        guard declared.strategy == .custom, let value, !value.isNull else { return nil }
        return RolloutKey(step, value.javaScriptText)
    }
}

// MARK: Reading

extension SelectionRequest {
    private static let fields = [
        "function", "experiment", "run", "variants", "strategy", "weights", "value", "variant",
        "hashVersion", "appVersion", "sdkVersion",
    ]

    /// Reads the body of a request.
    package init(_ json: JSONValue) throws(Refusal) {
        let problems = Problems()
        let reader = DocumentReader(json, "", problems)
        reader.allow(Self.fields)
        let request = Self(reader, json)
        guard problems.list.isEmpty, let request else { throw .invalid(problems.list) }
        self = request
    }

    /// Reads the data of a proposed `VariantSelected`; what the ledger finds out for itself is left
    /// to be compared.
    init?(selected data: JSONValue, _ pointer: String, _ problems: Problems) {
        let reader = DocumentReader(data, pointer, problems)
        reader.allow(
            Self.fields.filter { $0 != "value" }
                + ["h", "nullishBucket", "bucketHash", "definition", "rollout"])
        guard var request = Self(reader, data) else { return nil }
        switch request.declared.strategy {
        case .bucket:
            reader.problem(
                "strategy", "A bucket's value is not in its event; use POST /v1/selections.")
            return nil
        case .weighted: request.variant = nil
        case .custom, .fixed: break
        }
        self = request
    }

    private init?(_ reader: DocumentReader, _ json: JSONValue) {
        let step = reader.step("experiment")
        let run = reader.unit("run")
        let variants = reader.variantNames("variants")
        let strategy: SelectionStrategy? = reader.value("strategy", required: true)
        let variant = reader.stepName("variant", required: strategy == .fixed)
        let hashVersion = reader.hashVersion("hashVersion")
        let appVersion = reader.text("appVersion", max: Limits.nameBytesMax)
        let sdkVersion = reader.text("sdkVersion", max: Limits.nameBytesMax)
        let weights = reader.weights("weights")
        guard let step, let run, let strategy, let hashVersion else { return nil }
        self.init(
            step: step, run: run,
            declared: StepDefinition(
                strategy: strategy, variants: variants, weights: weights,
                hashVersion: hashVersion, fixed: strategy == .fixed ? variant : nil),
            value: json["value"], variant: variant)
        self.appVersion = appVersion
        self.sdkVersion = sdkVersion
    }
}

extension DocumentReader {
    /// The function, and the experiment of it under the given key.
    package func step(_ key: String) -> StepKey? {
        let function = stepName("function", required: true)
        let name = stepName(key, required: true)
        guard let function, let name else { return nil }
        return StepKey(function: function, name: name)
    }

    package func stepName(_ key: String, required: Bool) -> String? {
        text(key, max: Limits.stepNameBytesMax, required: required)
    }

    /// A subject or a run.
    package func unit(_ key: String) -> String? {
        text(key, max: Limits.subjectBytesMax, required: true)
    }

    fileprivate func variantNames(_ key: String) -> [String] {
        let elements = array(key, max: Limits.variantsMax, required: true)
        return elements.enumerated().compactMap { index, element in
            guard let name = element.string, isValidStepName(name) else {
                problem(key, at: index, "A variant's name is \(stepNameRule).")
                return nil
            }
            return name
        }
    }

    fileprivate func hashVersion(_ key: String) -> HashVersion? {
        guard let number = integer(key) else { return .plain }
        if let version = HashVersion(rawValue: Int(clamping: number)) { return version }
        problem(key, "hashVersion is 1, as the SDKs draw, or 2, which sets experiments apart.")
        return nil
    }

    /// Weights in the order in which they are written.
    fileprivate func weights(_ key: String) -> [Weight]? {
        guard let members = members(of: key) else { return nil }
        return members.compactMap { member in
            guard let weight = member.value.double, weight.isFinite, weight >= 0 else {
                problem(key, under: member.key, "A weight is a finite number, 0 or more.")
                return nil
            }
            return Weight(variant: member.key, weight: weight)
        }
    }
}
