import JSON

/// Resources as JSON, in the form that documents, events and answers share.
extension JSONWriter {
    mutating func variant(_ variant: Variant) {
        beginObject()
        key("id")
        string(variant.id.text)
        key("isControl")
        bool(variant.isControl)
        optional("name", variant.name)
        optional("description", variant.description)
        endObject()
    }

    mutating func cohort(_ cohort: Cohort) {
        beginObject()
        key("index")
        integer(cohort.index)
        key("createdAt")
        string(cohort.createdAt.description)
        key("variants")
        beginArray()
        for split in cohort.splits {
            beginObject()
            key("variant")
            string(split.variant.text)
            key("split")
            number(split.split)
            endObject()
        }
        endArray()
        endObject()
    }

    /// A lab or subject type in its envelope.
    package mutating func document(_ kind: ResourceKind, _ group: Group) {
        beginObject()
        key("schemaVersion")
        integer(1)
        key("kind")
        string(kind.rawValue)
        key("metadata")
        beginObject()
        key("id")
        string(group.id.text)
        optional("name", group.name)
        optional("description", group.description)
        key("status")
        string(group.status.rawValue)
        members(of: group.provenance)
        endObject()
        key("spec")
        beginObject()
        endObject()
        endObject()
    }

    /// An experiment in its envelope; what is read can be applied again as it is.
    package mutating func document(_ experiment: Experiment) {
        beginObject()
        key("schemaVersion")
        integer(1)
        key("kind")
        string(ResourceKind.experiment.rawValue)
        key("metadata")
        beginObject()
        key("id")
        string(experiment.id.text)
        optional("name", experiment.name)
        optional("description", experiment.description)
        key("status")
        string(experiment.status.rawValue)
        key("parentKind")
        string(ResourceKind.lab.rawValue)
        key("parentId")
        string(experiment.lab.text)
        members(of: experiment.provenance)
        endObject()
        key("spec")
        spec(of: experiment)
        endObject()
    }

    private mutating func spec(of experiment: Experiment) {
        beginObject()
        key("subjectType")
        string(experiment.subjectType.text)
        optional("hypothesis", experiment.hypothesis)
        if !experiment.links.isEmpty {
            key("links")
            value(experiment.linksJSON)
        }
        if experiment.isSealed {
            key("sealed")
            bool(true)
        }
        if experiment.status == .winnerDeclared {
            optional("winningVariant", experiment.winner?.text)
        }
        optional("endedReason", experiment.endedReason?.rawValue)
        key("variants")
        beginArray()
        for variant in experiment.variants { self.variant(variant) }
        endArray()
        key("cohorts")
        beginArray()
        for cohort in experiment.cohorts { self.cohort(cohort) }
        endArray()
        endObject()
    }

    private mutating func members(of provenance: Provenance) {
        key("resourceVersion")
        integer(provenance.resourceVersion)
        optional("createdAt", provenance.createdAt?.description)
        optional("updatedAt", provenance.updatedAt?.description)
    }
}

extension Experiment {
    var linksJSON: JSONValue { .object(links.map { .init($0.name, .string($0.target)) }) }
}
