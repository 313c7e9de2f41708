import JSON

extension LedgerEvent {
    /// The event's `data`, as it is first recorded and kept for ever.
    package var data: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        switch self {
        case .groupCreated(_, let group):
            writer.key("resourceVersion")
            writer.integer(1)
            writer.key("metadata")
            writer.beginObject()
            writer.key("id")
            writer.string(group.id.text)
            writer.optional("name", group.name)
            writer.optional("description", group.description)
            writer.key("status")
            writer.string(group.status.rawValue)
            writer.endObject()
        case .groupUpdated(let kind, let id, let version, let changes):
            writer.key(kind == .lab ? "lab" : "subjectType")
            writer.string(id.text)
            writer.key("resourceVersion")
            writer.integer(version)
            writer.changes(changes)
        case .experiment(let id, let version, let change):
            writer.key("experiment")
            writer.string(id.text)
            writer.key("resourceVersion")
            writer.integer(version)
            writer.members(of: change)
        case .assignmentMade(let made): writer.members(of: made)
        case .stepCreated(let step, let definition):
            writer.step(step)
            writer.key("definition")
            writer.integer(1)
            writer.members(of: definition)
        case .definitionChanged(let changed): writer.members(of: changed)
        case .variantSelected(let selected): writer.members(of: selected)
        case .rolloutChanged(let changed):
            writer.step(changed.step)
            writer.key("key")
            writer.string(changed.key)
            writer.key("variant")
            writer.string(orNull: changed.variant)
            writer.key("previous")
            writer.string(orNull: changed.previous)
        case .scoreRecorded(let score): writer.members(of: score)
        case .scoreRetracted(let retracted):
            writer.members(of: retracted.score)
            writer.key("score")
            writer.integer(retracted.position)
            writer.optional("reason", retracted.reason)
        case .subjectErased(let erased): writer.members(of: erased)
        case .keyCreated(let key):
            writer.key("key")
            writer.string(key.id)
            writer.key("role")
            writer.string(key.role.rawValue)
            writer.optional("name", key.name)
            writer.key("salt")
            writer.string(key.salt)
            writer.key("hash")
            writer.string(key.hash)
        case .keyRevoked(let id):
            writer.key("key")
            writer.string(id)
        case .webhook(let id, let change):
            writer.key("webhook")
            writer.string(id)
            writer.members(of: change)
        }
        writer.endObject()
        return writer.bytes
    }
}

extension JSONWriter {
    /// A member whose value is a text, left out where there is none.
    mutating func optional(_ name: StaticString, _ value: String?) {
        guard let value else { return }
        key(name)
        string(value)
    }

    fileprivate mutating func members(of made: AssignmentMade) {
        key("experiment")
        string(made.experiment.text)
        key("subject")
        string(made.subject)
        key("subjectType")
        string(made.subjectType.text)
        key("variant")
        string(made.variant.text)
        key("cohort")
        integer(made.cohort)
        key("u")
        number(made.u)
        optional("sealed", made.sealed)
    }

    fileprivate mutating func members(of change: ExperimentChange) {
        switch change {
        case .created(let experiment): created(experiment)
        case .updated(let fields): changes(fields)
        case .variantAdded(let variant), .variantRemoved(let variant):
            key("variant")
            self.variant(variant)
        case .variantUpdated(let before, let after):
            key("before")
            variant(before)
            key("after")
            variant(after)
        case .cohortAdded(let cohort):
            key("cohort")
            self.cohort(cohort)
        case .activated(let from), .archived(let from): self.from(from)
        case .winnerDeclared(let variant, let previous, let from):
            key("variant")
            string(variant.text)
            optional("previous", previous?.text)
            self.from(from)
        case .ended(let reason, let from):
            key("reason")
            string(reason.rawValue)
            self.from(from)
        case .reopened(let to, let reason, let from):
            key("to")
            string(to.rawValue)
            key("reason")
            string(reason)
            self.from(from)
        }
    }

    private mutating func from(_ status: ExperimentStatus) {
        key("from")
        string(status.rawValue)
    }

    private mutating func created(_ experiment: Experiment) {
        key("metadata")
        beginObject()
        key("id")
        string(experiment.id.text)
        optional("name", experiment.name)
        optional("description", experiment.description)
        key("parentKind")
        string(ResourceKind.lab.rawValue)
        key("parentId")
        string(experiment.lab.text)
        endObject()
        key("spec")
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
        endObject()
    }

    fileprivate mutating func changes(_ changes: [FieldChange]) {
        key("changes")
        beginArray()
        for change in changes {
            beginObject()
            key("field")
            string(change.field.rawValue)
            key("before")
            value(change.before)
            key("after")
            value(change.after)
            endObject()
        }
        endArray()
    }
}
