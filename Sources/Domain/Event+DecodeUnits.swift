import JSON

/// Reads the data of events about units and step experiments.
extension EventReader {
    func step() throws(EventDecodingError) -> StepKey {
        StepKey(function: try text("function"), name: try text("experiment"))
    }

    func definition() throws(EventDecodingError) -> StepDefinition {
        let names = try required("variants", "give a list of names") { $0.array }
        let variants = names.compactMap(\.string)
        guard variants.count == names.count else {
            throw error("/variants", "give a list of names")
        }
        let hashVersion = try optional("hashVersion", "give 1 or 2") {
            $0.integer.flatMap { HashVersion(rawValue: Int($0)) }
        }
        return StepDefinition(
            strategy: try value("strategy"), variants: variants,
            weights: try optional("weights", "give a map of variants to numbers", weights),
            hashVersion: hashVersion ?? .plain, fixed: try optionalText("variant"))
    }

    private func weights(_ value: JSONValue) -> [Weight]? {
        guard let members = value.object else { return nil }
        let weights = members.compactMap { member in
            member.value.double.map { Weight(variant: member.key, weight: $0) }
        }
        return weights.count == members.count ? weights : nil
    }

    func definitionChanged() throws(EventDecodingError) -> DefinitionChanged {
        DefinitionChanged(
            step: try step(), number: Int(try integer("definition")),
            previous: Int(try integer("previous")),
            before: try inside("before").definition(), after: try inside("after").definition())
    }

    func selection() throws(EventDecodingError) -> VariantSelected {
        var declared = try definition()
        let variant = try text("variant")
        declared.fixed = declared.strategy == .fixed ? variant : nil
        return VariantSelected(
            step: try step(), run: try text("run"), variant: variant, declared: declared,
            definition: Int(try optional("definition", "give a number") { $0.integer } ?? 1),
            h: try optional("h", "give a number") { $0.double },
            isNullishBucket: try optional("nullishBucket", "give true or false") { $0.bool }
                ?? false,
            bucketHash: try optionalText("bucketHash"),
            rollout: try optional("rollout", "give a position") { $0.integer },
            appVersion: try optionalText("appVersion"), sdkVersion: try optionalText("sdkVersion"))
    }

    func rolloutChanged() throws(EventDecodingError) -> RolloutChanged {
        RolloutChanged(
            step: try step(), key: try text("key"), variant: try optionalText("variant"),
            previous: try optionalText("previous"))
    }

    private func unit() throws(EventDecodingError) -> UnitKey {
        if member("function") != nil || member("run") != nil {
            return UnitKey(step: try step(), run: try text("run"))
        }
        return UnitKey(experiment: try id("experiment"), subject: try text("subject"))
    }

    func score() throws(EventDecodingError) -> ScoreRecorded {
        let unit = try unit()
        let cohort = if case .managed = unit.experiment { "cohort" } else { "definition" }
        return ScoreRecorded(
            unit: unit, variant: try optionalText("variant"),
            cohort: try optional(cohort, "give a number") { $0.integer }.map { Int($0) },
            name: try text("name"),
            value: try required("value", "give a finite number or a boolean") { ScoreValue($0) },
            occurredAt: try required("occurredAt", "give an RFC 3339 time") {
                $0.string.flatMap { Timestamp($0) }
            },
            stepID: try optionalText("stepId"), metadata: member("metadata")?.encoded,
            sealed: try optionalText("sealed"))
    }

    func erasure() throws(EventDecodingError) -> SubjectErased {
        let names = try required("experiments", "give a list of experiments") { $0.array }
        let experiments = names.compactMap { $0.string.flatMap { ResourceID($0) } }
        guard experiments.count == names.count else {
            throw error("/experiments", "give a list of experiments")
        }
        return SubjectErased(
            token: try text("subject"), reason: try optionalText("reason"),
            experiments: experiments)
    }
}

extension StepDefinition {
    /// Reads a definition from the parts in which the projections keep it.
    package init(
        strategy: String, variants: [UInt8], weights: [UInt8], hashVersion: Int, fixed: String?
    ) throws {
        let data = JSONValue.object([
            .init("strategy", .string(strategy)), .init("variants", try JSONValue.parse(variants)),
            .init("weights", try JSONValue.parse(weights)),
            .init("hashVersion", .number(JSONNumber(hashVersion))),
            .init("variant", fixed.map { .string($0) } ?? .null),
        ])
        self = try EventReader(type: "StepExperimentCreated", data: data).definition()
    }
}

extension ScoreValue {
    /// Nil for anything but a finite number and a boolean.
    package init?(_ json: JSONValue) {
        switch json {
        case .bool(let flag): self = .boolean(flag)
        case .number(let number):
            guard case let value = number.double, value.isFinite else { return nil }
            self = .number(value)
        default: return nil
        }
    }
}
