import JSON

extension Decider {
    /// Records proposed events, each by the command that would lead to it.
    mutating func append(_ proposals: [ProposedEvent]) throws(Refusal) {
        for (index, proposal) in proposals.enumerated() {
            let prefix = proposals.count == 1 ? "" : "/\(index)"
            do throws(Refusal) { try append(proposal) } catch {
                throw error.pointing { prefix + $0 }
            }
        }
    }

    private mutating func append(_ proposal: ProposedEvent) throws(Refusal) {
        guard LedgerEvent.types.contains(proposal.type) else {
            let known = LedgerEvent.types.joined(separator: ", ")
            throw .invalid([
                Problem("/type", "\(proposal.type) is no event type; known are \(known).")
            ])
        }
        switch proposal.type {
        case "KeyCreated", "KeyRevoked":
            throw .invalid([
                Problem("/type", "Keys are made and revoked with ledger keys, not by an append.")
            ])
        case let type where type.hasPrefix("Webhook"):
            throw .invalid([
                Problem("/type", "Webhooks are managed with ledger webhook, not by an append.")
            ])
        case "SubjectErased":
            throw .invalid([
                Problem("/type", "Subjects are erased with ledger erase, not by an append.")
            ])
        case "StepExperimentCreated", "ExperimentDefinitionChanged":
            throw .invalid([
                Problem("/type", "Code declares step experiments with POST /v1/selections.")
            ])
        case "AssignmentMade": return try appendAssignment(proposal)
        case "VariantSelected": return try appendSelection(proposal)
        case "RolloutChanged": return try appendRollout(proposal)
        case "ScoreRecorded": return try appendScore(proposal)
        case "ScoreRetracted": return try appendRetraction(proposal)
        default: break
        }
        let event: LedgerEvent
        do throws(EventDecodingError) {
            event = try LedgerEvent(type: proposal.type, data: proposal.data)
        } catch {
            throw .invalid([Problem("/data\(error.pointer)", "\(error.pointer): \(error.reason)")])
        }
        let unknown = event.unknownFields(in: proposal.data)
        guard unknown.isEmpty else { throw .invalid(unknown) }
        try check(proposal, stream: event.stream, version: state.versions[event.stream] ?? 0)
        let first = recorded
        do throws(Refusal) { try perform(event) } catch {
            throw error.pointing { event.dataPointer($0) }
        }
        guard let index = (first..<recorded).first(where: { decidedEvent($0).type == event.type })
        else {
            throw Refusal(
                .conflict, "\(event.stream) is already as \(event.type) would make it.")
        }
        identify(index, since: first, proposal)
    }

    func check(
        _ proposal: ProposedEvent, stream: String, version: Int64
    ) throws(Refusal) {
        if let named = proposal.stream, named != stream {
            throw .invalid([
                Problem("/stream", "An event with this data belongs to stream \(stream).")
            ])
        }
        guard !proposal.expectedVersion.admits(version) else { return }
        var refusal = Refusal(
            .versionMismatch, "Stream \(stream) is at version \(version); read it and try again.")
        refusal.actualVersion = version
        throw refusal
    }

    /// An assignment is drawn by the ledger; what the proposal says of it has to agree.
    private mutating func appendAssignment(_ proposal: ProposedEvent) throws(Refusal) {
        let problems = Problems()
        let reader = DocumentReader(proposal.data, "/data", problems)
        reader.allow(["experiment", "subject", "subjectType", "variant", "cohort", "u"])
        let experiment = reader.id("experiment", required: true)
        let subject = reader.text("subject", required: true)
        guard problems.list.isEmpty, let experiment, let subject else {
            throw .invalid(problems.list)
        }
        try refuseSealed(experiment)
        let key = UnitKey(experiment: experiment, subject: subject)
        try refusePlaced(key, proposal)
        let first = recorded
        do throws(Refusal) { try assign(experiment, [subject]) } catch {
            throw error.pointing { _ in "/data/subject" }
        }
        guard recorded > first, case .assignmentMade(let made) = decidedEvent(first) else {
            throw Refusal(.conflict, "Experiment \(experiment) is not active.")
        }
        try made.compare(reader, problems)
        identify(first, since: first, proposal)
    }

    /// Refuses a proposal that names a subject where the log holds tokens alone.
    func refuseSealed(_ id: ResourceID) throws(Refusal) {
        guard state.experiments[id]?.isSealed == true else { return }
        throw .invalid([
            Problem(
                "/data/subject",
                "Experiment \(id) seals its subjects, which an event can't name: use POST "
                    + "/v1/experiments/\(id)/assignments and POST /v1/scores.")
        ])
    }

    /// Refuses to place a unit that has its place.
    func refusePlaced(_ key: UnitKey, _ proposal: ProposedEvent) throws(Refusal) {
        let existing = facts.placements[key]
        try check(proposal, stream: key.stream, version: existing?.version ?? 0)
        if let existing {
            throw Refusal(
                .conflict,
                "\(key.unit) has variant \(existing.variant) of \(key.experiment) since position "
                    + "\(existing.position); a first variant is for ever.")
        }
    }

    /// Does what leads to the event.
    private mutating func perform(_ event: LedgerEvent) throws(Refusal) {
        switch event {
        case .groupCreated(let kind, let group):
            guard state.groups(kind)[group.id] == nil else {
                throw Refusal(.conflict, "\(kind.rawValue) \(group.id) exists already.")
            }
            let document = GroupDocument(
                id: group.id, name: group.name, description: group.description,
                status: group.status)
            try apply([.group(kind, document)], ApplyOptions())
        case .groupUpdated(let kind, let id, _, let changes):
            guard let group = state.groups(kind)[id] else {
                throw Refusal(.notFound, "There is no \(kind.rawValue) \(id).")
            }
            try apply([.group(kind, try GroupDocument(group, with: changes))], ApplyOptions())
        case .experiment(let id, _, .created(let experiment)):
            guard state.experiments[id] == nil else {
                throw Refusal(.conflict, "Experiment \(id) exists already.")
            }
            try apply(ExperimentDocument(experiment), ApplyOptions())
        case .experiment(let id, _, let change): try perform(change, id)
        case .assignmentMade, .stepCreated, .definitionChanged, .variantSelected, .rolloutChanged,
            .scoreRecorded, .scoreRetracted, .subjectErased, .keyCreated, .keyRevoked, .webhook:
            return
        }
    }

    private mutating func perform(
        _ change: ExperimentChange, _ id: ResourceID
    ) throws(Refusal) {
        guard let experiment = state.experiments[id] else { throw .unknownExperiment(id.text) }
        var document = ExperimentDocument(experiment)
        switch change {
        case .created: return
        case .activated: return try take(.activate, id)
        case .winnerDeclared(let variant, _, _): return try take(.declareWinner(variant), id)
        case .ended(let reason, _): return try take(.end(reason), id)
        case .archived: return try take(.archive(nil), id)
        case .reopened(let to, let reason, _): return try take(.reopen(to: to, reason: reason), id)
        case .cohortAdded(let cohort):
            let createdAt = cohort.createdAt == .notGiven ? nil : cohort.createdAt
            let new = CohortDocument(
                index: cohort.index, createdAt: createdAt, splits: cohort.splits)
            return try take(.addCohort(new), id)
        case .updated(let changes): try document.apply(changes)
        case .variantAdded(let variant):
            guard experiment.variant(variant.id) == nil else {
                throw Refusal(.conflict, "Experiment \(id) has a variant \(variant.id) already.")
            }
            document.variants.append(variant)
        case .variantUpdated(_, let after):
            guard experiment.variant(after.id) != nil else {
                throw Refusal(.notFound, "Experiment \(id) has no variant \(after.id).")
            }
            document.variants = document.variants.map { $0.id == after.id ? after : $0 }
        case .variantRemoved(let variant): document.variants.removeAll { $0.id == variant.id }
        }
        try apply(document, ApplyOptions())
    }
}

extension GroupDocument {
    /// The group with the new values of fields; each is checked like a document's.
    fileprivate init(_ group: Group, with changes: [FieldChange]) throws(Refusal) {
        self.init(
            id: group.id, name: group.name, description: group.description, status: group.status)
        for (index, change) in changes.enumerated() {
            let problems = Problems()
            let reader = DocumentReader(change, index, problems)
            switch change.field {
            case .name: name = reader.text("after", max: Limits.nameBytesMax)
            case .description: description = reader.text("after")
            case .status: status = reader.value("after", required: true)
            case .lab, .subjectType, .hypothesis, .links, .sealed, .endedReason:
                reader.problem("field", "Only experiments have \(change.field.rawValue).")
            }
            guard problems.list.isEmpty else { throw .invalid(problems.list) }
        }
    }
}

extension DocumentReader {
    /// Reads the new value of the proposed change with this index.
    fileprivate init(_ change: FieldChange, _ index: Int, _ problems: Problems) {
        self.init(
            .object([.init("after", change.after)]), "/data/changes/\(index)", problems)
    }
}

extension ExperimentDocument {
    /// Takes over the new values of fields; each change is checked like a document's.
    fileprivate mutating func apply(_ changes: [FieldChange]) throws(Refusal) {
        for (index, change) in changes.enumerated() {
            let problems = Problems()
            let reader = DocumentReader(change, index, problems)
            switch change.field {
            case .name: name = reader.text("after", max: Limits.nameBytesMax)
            case .description: description = reader.text("after")
            case .hypothesis: hypothesis = reader.text("after")
            case .lab: lab = reader.id("after") ?? .defaultLab
            case .subjectType: subjectType = reader.id("after") ?? .anySubjectType
            case .links: links = reader.links("after")
            case .sealed: isSealed = reader.bool("after") ?? false
            case .endedReason: endedReason = reader.value("after")
            case .status:
                reader.problem("field", "A status changes by the events of the lifecycle.")
            }
            guard problems.list.isEmpty else { throw .invalid(problems.list) }
        }
    }
}
