import JSON

extension Decider {
    mutating func apply(
        _ documents: [ResourceDocument], _ options: ApplyOptions
    ) throws(Refusal) {
        if options.expectedResourceVersion != nil && documents.count > 1 {
            throw Refusal(.invalid, "If-Match goes with one document, not \(documents.count).")
        }
        var problems: [Problem] = []
        // Groups first: an experiment that comes before its lab must not make it.
        let numbered = Array(documents.enumerated())
        let groups = numbered.filter { $0.element.kind != .experiment }
        let experiments = numbered.filter { $0.element.kind == .experiment }
        for (index, document) in groups + experiments {
            // With one document pointers start inside it, with several at its number.
            let prefix = documents.count == 1 ? "" : "/\(index)"
            do throws(Refusal) {
                switch document {
                case .group(let kind, let group): try apply(kind, group, options)
                case .experiment(let experiment): try apply(experiment, options)
                }
            } catch {
                guard error.kind == .invalid, !error.problems.isEmpty else { throw error }
                problems += error.problems.map { Problem(prefix + $0.pointer, $0.detail) }
            }
        }
        guard problems.isEmpty else { throw .invalid(problems) }
    }

    // MARK: Labs and subject types

    private mutating func apply(
        _ kind: ResourceKind, _ document: GroupDocument, _ options: ApplyOptions
    ) throws(Refusal) {
        let current = state.groups(kind)[document.id]
        try check(options, current?.provenance.resourceVersion, kind, document.id)
        let problems = document.limitProblems()
        guard problems.isEmpty else { throw .invalid(problems) }
        if document.status == .archived,
            document.id == (kind == .lab ? .defaultLab : .anySubjectType)
        {
            throw .invalid([
                Problem("/metadata/status", "\(document.id) always exists and can't be archived.")
            ])
        }
        let before = recorded
        if let current {
            update(kind, current, document)
        } else {
            record(
                .groupCreated(
                    kind,
                    Group(
                        id: document.id, name: document.name, description: document.description,
                        status: document.status ?? .active)))
        }
        answer(
            AppliedResource(
                kind: kind, id: document.id,
                action: current == nil ? .created : recorded > before ? .updated : .unchanged,
                resourceVersion: state.groups(kind)[document.id]?.provenance.resourceVersion ?? 0))
    }

    private mutating func update(
        _ kind: ResourceKind, _ current: Group, _ document: GroupDocument
    ) {
        var changes: [FieldChange] = []
        changes.note(.name, current.name, document.name)
        changes.note(.description, current.description, document.description)
        changes.note(
            .status, current.status.rawValue, (document.status ?? current.status).rawValue)
        guard !changes.isEmpty else { return }
        record(
            .groupUpdated(
                kind, current.id, resourceVersion: current.provenance.resourceVersion + 1, changes))
    }

    // MARK: Experiments

    mutating func apply(
        _ document: ExperimentDocument, _ options: ApplyOptions
    ) throws(Refusal) {
        let current = state.experiments[document.id]
        try check(
            options, current?.provenance.resourceVersion, .experiment, document.id)
        let problems =
            document.problems(against: current, reopening: try reopens(options))
            + groupProblems(document, current)
        guard problems.isEmpty else { throw .invalid(problems) }
        let before = recorded
        ensure(.lab, document.lab)
        ensure(.subjectType, document.subjectType)
        record(document, over: current, reopenReason: options.reopenReason)
        answer(
            AppliedResource(
                kind: .experiment, id: document.id,
                action: current == nil ? .created : recorded > before ? .updated : .unchanged,
                resourceVersion: state.experiments[document.id]?.provenance.resourceVersion ?? 0))
    }

    /// Whether a status may go back: a flag without a reason is not enough.
    private func reopens(_ options: ApplyOptions) throws(Refusal) -> Bool {
        guard let reason = options.reopenReason else { return false }
        let problems = limitProblems("/reason", reason, max: Limits.textBytesMax)
        guard problems.isEmpty else { throw .invalid(problems) }
        return reason.contains { !$0.isWhitespace }
    }

    private func check(
        _ options: ApplyOptions, _ version: Int64?, _ kind: ResourceKind, _ id: ResourceID
    ) throws(Refusal) {
        guard let expected = options.expectedResourceVersion, expected != version else { return }
        throw Refusal(
            .preconditionFailed,
            version.map {
                "\(kind.rawValue) \(id) is at resource version \($0), not \(expected): "
                    + "read it again and repeat the change on what it is now."
            } ?? "\(kind.rawValue) \(id) does not exist, so it has no resource version \(expected)."
        )
    }

    /// Archived labs and subject types take no new experiments.
    private func groupProblems(
        _ document: ExperimentDocument, _ current: Experiment?
    ) -> [Problem] {
        var problems: [Problem] = []
        if document.lab != current?.lab, state.labs[document.lab]?.status == .archived {
            problems.append(
                Problem(
                    "/metadata/parentId",
                    "Lab \(document.lab) is archived; choose another or make it active."))
        }
        if document.subjectType != current?.subjectType,
            state.subjectTypes[document.subjectType]?.status == .archived
        {
            problems.append(
                Problem(
                    "/spec/subjectType",
                    "Subject type \(document.subjectType) is archived; choose another or make it "
                        + "active."))
        }
        return problems
    }

    /// A lab or subject type that an experiment names comes into being with it.
    private mutating func ensure(_ kind: ResourceKind, _ id: ResourceID) {
        if state.groups(kind)[id] == nil { record(.groupCreated(kind, Group(id: id))) }
    }

    private mutating func record(
        _ document: ExperimentDocument, over current: Experiment?, reopenReason: String?
    ) {
        let version = (current?.provenance.resourceVersion ?? 0) + 1
        var changes: [ExperimentChange] = []
        let base: Experiment
        if let current {
            base = current
            let fields = document.fieldChanges(from: current)
            if !fields.isEmpty { changes.append(.updated(fields)) }
        } else {
            base = Experiment(
                id: document.id, name: document.name, description: document.description,
                lab: document.lab, subjectType: document.subjectType,
                hypothesis: document.hypothesis, links: document.links,
                isSealed: document.isSealed)
            changes.append(.created(base))
        }
        changes += document.variantChanges(from: base)
        for cohort in document.cohorts.dropFirst(base.cohorts.count) {
            changes.append(
                .cohortAdded(
                    Cohort(
                        index: cohort.index, createdAt: cohort.createdAt ?? now,
                        splits: cohort.splits)))
        }
        changes += document.steps(from: base, reopenReason: reopenReason ?? "")
        for change in changes {
            record(.experiment(document.id, resourceVersion: version, change))
        }
    }
}

extension [FieldChange] {
    /// Adds a change of a text, if it is one.
    fileprivate mutating func note(_ field: FieldChange.Field, _ before: String?, _ after: String?)
    {
        guard before != after else { return }
        append(
            FieldChange(
                field: field, before: before.map { .string($0) } ?? .null,
                after: after.map { .string($0) } ?? .null))
    }
}

extension ExperimentDocument {
    fileprivate func fieldChanges(from current: Experiment) -> [FieldChange] {
        var changes: [FieldChange] = []
        changes.note(.name, current.name, name)
        changes.note(.description, current.description, description)
        changes.note(.lab, current.lab.text, lab.text)
        changes.note(.subjectType, current.subjectType.text, subjectType.text)
        changes.note(.hypothesis, current.hypothesis, hypothesis)
        if current.links != links {
            let after = JSONValue.object(links.map { .init($0.name, .string($0.target)) })
            changes.append(FieldChange(field: .links, before: current.linksJSON, after: after))
        }
        if current.isSealed != isSealed {
            changes.append(
                FieldChange(
                    field: .sealed, before: .bool(current.isSealed), after: .bool(isSealed)))
        }
        // A reason given while the experiment ends is part of that event instead.
        if let endedReason, current.status >= .ended, (status ?? current.status) >= .ended {
            changes.note(.endedReason, current.endedReason?.rawValue, endedReason.rawValue)
        }
        return changes
    }

    fileprivate func variantChanges(from current: Experiment) -> [ExperimentChange] {
        var changes: [ExperimentChange] = []
        for variant in current.variants where !variants.contains(where: { $0.id == variant.id }) {
            changes.append(.variantRemoved(variant))
        }
        for variant in variants {
            guard let before = current.variant(variant.id) else {
                changes.append(.variantAdded(variant))
                continue
            }
            if before != variant { changes.append(.variantUpdated(before: before, after: variant)) }
        }
        return changes
    }

    /// The steps of the lifecycle from where the experiment is to where the document wants it.
    fileprivate func steps(
        from current: Experiment, reopenReason: String
    ) -> [ExperimentChange] {
        let target = status ?? current.status
        var from = current.status
        var winner = current.winner
        var steps: [ExperimentChange] = []
        if target < from {
            steps.append(.reopened(to: target, reason: reopenReason, from: from))
            from = target
        }
        if from == .draft, target == .active || target == .winnerDeclared {
            steps.append(.activated(from: from))
            from = .active
        }
        if target == .winnerDeclared, let winningVariant, from < target || winner != winningVariant
        {
            steps.append(.winnerDeclared(winningVariant, previous: winner, from: from))
            (from, winner) = (target, winningVariant)
        }
        if target >= .ended, from < .ended {
            steps.append(.ended(endedReason ?? .other, from: from))
            from = .ended
        }
        if target == .archived, from < .archived { steps.append(.archived(from: from)) }
        return steps
    }
}
