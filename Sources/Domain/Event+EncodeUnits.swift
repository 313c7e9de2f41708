import JSON

/// Members of the data of events about units and step experiments.
extension JSONWriter {
    mutating func step(_ step: StepKey) {
        key("function")
        string(step.function)
        key("experiment")
        string(step.name)
    }

    /// The experiment and the unit, as every event of a unit names them.
    package mutating func unit(_ unit: UnitKey) {
        switch unit.experiment {
        case .managed(let id):
            key("experiment")
            string(id.text)
            key("subject")
        case .step(let step):
            self.step(step)
            key("run")
        }
        string(unit.unit)
    }

    mutating func members(of definition: StepDefinition) {
        key("strategy")
        string(definition.strategy.rawValue)
        optional("variant", definition.fixed)
        declared(definition)
    }

    /// What is declared of the variants, as documents and events have it.
    package mutating func declared(_ definition: StepDefinition) {
        key("variants")
        beginArray()
        for variant in definition.variants { string(variant) }
        endArray()
        key("weights")
        weights(definition.weights)
        key("hashVersion")
        integer(definition.hashVersion.rawValue)
    }

    /// Weights by their variants, or `null`.
    package mutating func weights(_ weights: [Weight]?) {
        guard let weights else { return null() }
        beginObject()
        for weight in weights {
            key(weight.variant)
            number(weight.weight)
        }
        endObject()
    }

    mutating func members(of changed: DefinitionChanged) {
        step(changed.step)
        key("definition")
        integer(changed.number)
        key("previous")
        integer(changed.previous)
        key("before")
        beginObject()
        members(of: changed.before)
        endObject()
        key("after")
        beginObject()
        members(of: changed.after)
        endObject()
    }

    mutating func members(of selected: VariantSelected) {
        step(selected.step)
        key("run")
        string(selected.run)
        key("variant")
        string(selected.variant)
        key("strategy")
        string(selected.declared.strategy.rawValue)
        declared(selected.declared)
        key("h")
        if let h = selected.h { number(h) } else { null() }
        key("nullishBucket")
        bool(selected.isNullishBucket)
        key("bucketHash")
        string(orNull: selected.bucketHash)
        key("definition")
        integer(selected.definition)
        if let rollout = selected.rollout {
            key("rollout")
            integer(rollout)
        }
        optional("appVersion", selected.appVersion)
        optional("sdkVersion", selected.sdkVersion)
    }

    mutating func members(of score: ScoreRecorded) {
        unit(score.unit)
        if let variant = score.variant {
            key("variant")
            string(variant)
            if let cohort = score.cohort {
                switch score.unit.experiment {
                case .managed: key("cohort")
                case .step: key("definition")
                }
                integer(cohort)
            }
        } else {
            key("unattributed")
            bool(true)
        }
        key("name")
        string(score.name)
        key("value")
        switch score.value {
        case .number(let value): number(value)
        case .boolean(let flag): bool(flag)
        }
        key("occurredAt")
        string(score.occurredAt.description)
        optional("stepId", score.stepID)
        if let metadata = score.metadata {
            key("metadata")
            raw(metadata)
        }
        optional("sealed", score.sealed)
    }

    mutating func members(of erased: SubjectErased) {
        key("subject")
        string(erased.token)
        optional("reason", erased.reason)
        key("experiments")
        beginArray()
        for experiment in erased.experiments { string(experiment.text) }
        endArray()
    }
}
