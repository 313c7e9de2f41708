import JSON

/// Where in the log an event stands.
package struct EventContext: Sendable {
    package var position: Int64
    package var recordedAt: Timestamp

    package init(position: Int64, recordedAt: Timestamp) {
        self.position = position
        self.recordedAt = recordedAt
    }
}

/// What decisions need in memory: every resource and key, but no assignment.
///
/// A value: a copy is a snapshot. It is always the fold of ``evolve(_:at:)`` over the log.
package struct State: Sendable, Equatable {
    package private(set) var labs: [ResourceID: Group]
    package private(set) var subjectTypes: [ResourceID: Group]
    package private(set) var experiments: [ResourceID: Experiment] = [:]
    package private(set) var keys: [String: Key] = [:]
    package private(set) var webhooks: [String: Webhook] = [:]
    /// Of the last event that changed a resource, a key or a webhook.
    package private(set) var changedPosition: Int64 = 0
    /// Of the last event that erased a subject; see ``Seal/position``.
    package private(set) var erasedPosition: Int64 = 0
    /// Whether an experiment seals its subjects, or has done so as a draft.
    package private(set) var sealsSubjects = false
    /// Experiments that code declares.
    package private(set) var steps: [StepKey: DeclaredExperiment] = [:]
    /// Versions of the streams of resources and keys.
    package private(set) var versions: [String: Int64] = [:]

    /// The state before the first event: lab `DEFAULT` and subject type `ANY` always exist.
    package init() {
        labs = [.defaultLab: Group(id: .defaultLab, name: "Default")]
        subjectTypes = [.anySubjectType: Group(id: .anySubjectType, name: "Any")]
    }

    package func groups(_ kind: ResourceKind) -> [ResourceID: Group] {
        kind == .lab ? labs : subjectTypes
    }

    /// Those that seal their subjects.
    package var sealedExperiments: [ResourceID] {
        sealsSubjects ? experiments.values.filter(\.isSealed).map(\.id).sorted() : []
    }

    /// The fold's step: the state after an event.
    package mutating func evolve(_ event: LedgerEvent, at context: EventContext) {
        switch event {
        case .assignmentMade, .variantSelected, .rolloutChanged, .scoreRecorded, .scoreRetracted:
            return
        case .subjectErased:
            erasedPosition = context.position
            return
        case .stepCreated(let step, let definition):
            steps[step] = DeclaredExperiment(step, definition, context)
            return
        case .definitionChanged(let changed):
            steps[changed.step]?.change(to: changed.after, number: changed.number, context)
            return
        case .groupCreated(let kind, var group):
            group.provenance.touch(1, context)
            setGroup(kind, group)
        case .groupUpdated(let kind, let id, let version, let changes):
            guard var group = groups(kind)[id] else { return }
            for change in changes { group.apply(change) }
            group.provenance.touch(version, context)
            setGroup(kind, group)
        case .experiment(let id, let version, .created(var experiment)):
            experiment.provenance.touch(version, context)
            experiment.statusPosition = context.position
            experiments[id] = experiment
            if experiment.isSealed { sealsSubjects = true }
        case .experiment(let id, let version, let change):
            experiments[id]?.evolve(change, context)
            experiments[id]?.provenance.touch(version, context)
            if experiments[id]?.isSealed == true { sealsSubjects = true }
        case .keyCreated(var key):
            key.createdAt = context.recordedAt
            keys[key.id] = key
        case .keyRevoked(let id): keys[id]?.revokedAt = context.recordedAt
        case .webhook(let id, let change): evolve(id, change, context)
        }
        versions[event.stream, default: 0] += 1
        changedPosition = context.position
    }

    private mutating func evolve(
        _ id: String, _ change: WebhookChange, _ context: EventContext
    ) {
        if case .created(let settings, let secret, let start) = change {
            webhooks[id] = Webhook(
                id: id, settings: settings, secret: secret, start: start,
                createdPosition: context.position, createdAt: context.recordedAt,
                updatedAt: context.recordedAt)
        } else {
            webhooks[id] = webhooks[id]?.evolved(change, context)
        }
    }

    private mutating func setGroup(_ kind: ResourceKind, _ group: Group) {
        if kind == .lab { labs[group.id] = group } else { subjectTypes[group.id] = group }
    }
}

extension Provenance {
    fileprivate mutating func touch(_ version: Int64, _ context: EventContext) {
        resourceVersion = version
        createdAt = createdAt ?? context.recordedAt
        updatedAt = context.recordedAt
        position = context.position
    }
}

extension Group {
    fileprivate mutating func apply(_ change: FieldChange) {
        switch change.field {
        case .name: name = change.after.string
        case .description: description = change.after.string
        case .status: status = change.after.string.flatMap { GroupStatus(rawValue: $0) } ?? status
        default: return
        }
    }
}

extension Experiment {
    fileprivate mutating func evolve(_ change: ExperimentChange, _ context: EventContext) {
        switch change {
        case .created: return
        case .updated(let changes): for change in changes { apply(change) }
        case .variantAdded(let variant): variants.append(variant)
        case .variantUpdated(_, let after):
            variants = variants.map { $0.id == after.id ? after : $0 }
        case .variantRemoved(let variant): variants.removeAll { $0.id == variant.id }
        case .cohortAdded(let cohort): cohorts.append(cohort)
        case .activated: enter(.active, context)
        case .winnerDeclared(let variant, _, _):
            winner = variant
            enter(.winnerDeclared, context)
        case .ended(let reason, _):
            endedReason = reason
            enter(.ended, context)
        case .archived: enter(.archived, context)
        case .reopened(let to, _, _):
            if to < .winnerDeclared { winner = nil }
            if to < .ended { endedReason = nil }
            enter(to, context)
        }
    }

    private mutating func enter(_ status: ExperimentStatus, _ context: EventContext) {
        self.status = status
        if status == .active { hasBeenActive = true }
        statusPosition = context.position
    }

    fileprivate mutating func apply(_ change: FieldChange) {
        let text = change.after.string
        switch change.field {
        case .name: name = text
        case .description: description = text
        case .hypothesis: hypothesis = text
        case .lab: lab = text.flatMap { ResourceID($0) } ?? .defaultLab
        case .subjectType: subjectType = text.flatMap { ResourceID($0) } ?? .anySubjectType
        case .endedReason: endedReason = text.flatMap { EndedReason(rawValue: $0) }
        case .links:
            links = (change.after.object ?? []).compactMap { member in
                member.value.string.map { Link(name: member.key, target: $0) }
            }
        case .sealed: isSealed = change.after.bool ?? false
        case .status: return
        }
    }
}
