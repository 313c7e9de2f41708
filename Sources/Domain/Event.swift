import JSON

/// Something that happened. The log holds nothing else, and all state is a fold over these.
///
/// Nearly all are assignments, so the others stand behind a reference, which keeps events small.
package enum LedgerEvent: Sendable, Equatable {
    /// A lab or subject type came to be.
    indirect case groupCreated(ResourceKind, Group)
    indirect case groupUpdated(ResourceKind, ResourceID, resourceVersion: Int64, [FieldChange])
    indirect case experiment(ResourceID, resourceVersion: Int64, ExperimentChange)
    case assignmentMade(AssignmentMade)
    /// A step experiment came to be, with its first definition.
    indirect case stepCreated(StepKey, StepDefinition)
    indirect case definitionChanged(DefinitionChanged)
    indirect case variantSelected(VariantSelected)
    indirect case rolloutChanged(RolloutChanged)
    indirect case scoreRecorded(ScoreRecorded)
    indirect case scoreRetracted(ScoreRetracted)
    indirect case subjectErased(SubjectErased)
    indirect case keyCreated(Key)
    case keyRevoked(id: String)
    indirect case webhook(String, WebhookChange)
}

/// What can happen to an experiment.
package enum ExperimentChange: Sendable, Equatable {
    /// Only metadata and the plain fields of the spec count; variants and cohorts follow.
    case created(Experiment)
    case updated([FieldChange])
    case variantAdded(Variant)
    case variantUpdated(before: Variant, after: Variant)
    case variantRemoved(Variant)
    case cohortAdded(Cohort)
    case activated(from: ExperimentStatus)
    case winnerDeclared(ResourceID, previous: ResourceID?, from: ExperimentStatus)
    case ended(EndedReason, from: ExperimentStatus)
    case archived(from: ExperimentStatus)
    case reopened(to: ExperimentStatus, reason: String, from: ExperimentStatus)
}

/// Code declares a step experiment in another way than before.
package struct DefinitionChanged: Sendable, Equatable {
    package var step: StepKey
    /// Of the new definition; an earlier one that comes back has the number it had.
    package var number: Int
    package var previous: Int
    package var before: StepDefinition
    package var after: StepDefinition
}

/// A field of a resource with its value before and after.
package struct FieldChange: Sendable, Equatable {
    package var field: Field
    package var before: JSONValue
    package var after: JSONValue

    /// The fields that an update can change, by their JSON pointers in the document.
    package enum Field: String, Sendable, CaseIterable {
        case name = "/metadata/name"
        case description = "/metadata/description"
        case status = "/metadata/status"
        case lab = "/metadata/parentId"
        case subjectType = "/spec/subjectType"
        case hypothesis = "/spec/hypothesis"
        case links = "/spec/links"
        case sealed = "/spec/sealed"
        case endedReason = "/spec/endedReason"
    }
}

extension LedgerEvent {
    /// The event's type as the log names it.
    package var type: String {
        switch self {
        case .groupCreated(let kind, _): kind == .lab ? "LabCreated" : "SubjectTypeCreated"
        case .groupUpdated(let kind, _, _, _): kind == .lab ? "LabUpdated" : "SubjectTypeUpdated"
        case .experiment(_, _, let change): change.type
        case .assignmentMade: "AssignmentMade"
        case .stepCreated: "StepExperimentCreated"
        case .definitionChanged: "ExperimentDefinitionChanged"
        case .variantSelected: "VariantSelected"
        case .rolloutChanged: "RolloutChanged"
        case .scoreRecorded: "ScoreRecorded"
        case .scoreRetracted: "ScoreRetracted"
        case .subjectErased: "SubjectErased"
        case .keyCreated: "KeyCreated"
        case .keyRevoked: "KeyRevoked"
        case .webhook(_, let change): change.type
        }
    }

    /// The step experiment that the event declares, if it is such an event.
    var declaredStep: StepKey? {
        switch self {
        case .stepCreated(let step, _): step
        case .definitionChanged(let changed): changed.step
        default: nil
        }
    }

    /// The stream the event belongs to.
    package var stream: String {
        switch self {
        case .groupCreated(let kind, let group): kind.stream(group.id)
        case .groupUpdated(let kind, let id, _, _): kind.stream(id)
        case .experiment(let id, _, _): StreamName.experiment(id)
        case .assignmentMade(let made): StreamName.assignment(made.experiment, made.subject)
        case .stepCreated(let step, _): StreamName.step(step)
        case .definitionChanged(let changed): StreamName.step(changed.step)
        case .variantSelected(let selected): StreamName.selection(selected.step, selected.run)
        case .rolloutChanged(let changed): StreamName.rollout(changed.step, changed.key)
        case .scoreRecorded(let score): score.stream
        case .scoreRetracted(let retracted): retracted.score.stream
        case .subjectErased(let erased): StreamName.subject(erased.token)
        case .keyCreated(let key): StreamName.key(key.id)
        case .keyRevoked(let id): StreamName.key(id)
        case .webhook(let id, _): StreamName.webhook(id)
        }
    }
}

extension ExperimentChange {
    var type: String {
        switch self {
        case .created: "ExperimentCreated"
        case .updated: "ExperimentUpdated"
        case .variantAdded: "VariantAdded"
        case .variantUpdated: "VariantUpdated"
        case .variantRemoved: "VariantRemoved"
        case .cohortAdded: "CohortAdded"
        case .activated: "ExperimentActivated"
        case .winnerDeclared: "WinnerDeclared"
        case .ended: "ExperimentEnded"
        case .archived: "ExperimentArchived"
        case .reopened: "ExperimentReopened"
        }
    }
}

extension ScoreRecorded {
    /// The unit's own, unless it has no variant: then its stream may still have to begin with one.
    var stream: String {
        variant == nil ? StreamName.unattributed(unit) : unit.stream
    }
}
