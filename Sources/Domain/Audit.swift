import JSON

/// What an event changed, as an auditor reads it: from the event alone.
package struct AuditedChange: Sendable, Equatable {
    package let summary: String
    package let before: JSONValue
    package let after: JSONValue
}

extension LedgerEvent {
    package var audited: AuditedChange {
        switch self {
        case .groupCreated(let kind, var group):
            group.provenance.resourceVersion = 1
            return AuditedChange(
                summary: "\(kind.rawValue) \(group.id) created", before: .null,
                after: json { $0.document(kind, group) }["metadata"] ?? .null)
        case .groupUpdated(let kind, let id, _, let changes):
            return changes.audited("\(kind.rawValue) \(id)")
        case .experiment(let id, _, let change): return change.audited(id)
        case .assignmentMade(let made):
            return AuditedChange(
                summary: "\(made.subject) assigned \(made.variant) in cohort \(made.cohort)",
                before: .null,
                after: .object([
                    .init("subject", .string(made.subject)),
                    .init("variant", .string(made.variant.text)),
                    .init("cohort", .number(JSONNumber(made.cohort))),
                    .init("u", .number(JSONNumber(made.u))),
                ]))
        case .stepCreated(let step, let definition):
            return AuditedChange(
                summary: "step experiment \(step) created", before: .null,
                after: definition.audited)
        case .definitionChanged(let changed):
            return AuditedChange(
                summary: "definition \(changed.number) in force", before: changed.before.audited,
                after: changed.after.audited)
        case .variantSelected(let selected):
            return AuditedChange(
                summary: "run \(selected.run) selected \(selected.variant) by "
                    + "\(selected.declared.strategy.rawValue)",
                before: .null, after: json { $0.data(self) })
        case .rolloutChanged(let changed):
            return AuditedChange(
                summary: "rollout of \(changed.key): \(changed.variant ?? "none")",
                before: .object([.init("variant", changed.previous.map { .string($0) } ?? .null)]),
                after: .object([.init("variant", changed.variant.map { .string($0) } ?? .null)]))
        case .scoreRecorded(let score):
            return AuditedChange(
                summary: "\(score.unit.text) scored \(score.name) \(score.value.text)"
                    + (score.variant == nil ? ", unattributed" : ""),
                before: .null, after: json { $0.data(self) })
        case .scoreRetracted(let retracted):
            let reason = retracted.reason.map { ": \($0)" } ?? ""
            return AuditedChange(
                summary: "score \(retracted.score.name) \(retracted.score.value.text) of "
                    + "\(retracted.score.unit.text) taken back\(reason)",
                before: json { $0.data(.scoreRecorded(retracted.score)) }, after: .null)
        case .subjectErased(let erased):
            let reason = erased.reason.map { ": \($0)" } ?? ""
            return AuditedChange(
                summary: "subject \(erased.token) erased\(reason)",
                before: .object([
                    .init("experiments", .array(erased.experiments.map { .string($0.text) }))
                ]),
                after: .null)
        case .keyCreated(let key):
            return AuditedChange(
                summary: "key \(key.id) created with role \(key.role.rawValue)", before: .null,
                after: .object([.init("role", .string(key.role.rawValue))]))
        case .keyRevoked(let id):
            return AuditedChange(
                summary: "key \(id) revoked", before: .object([.init("revoked", false)]),
                after: .object([.init("revoked", true)]))
        case .webhook(let id, let change): return change.audited(id)
        }
    }
}

/// The tree of what a writer writes.
private func json(_ write: (inout JSONWriter) -> Void) -> JSONValue {
    var writer = JSONWriter()
    write(&writer)
    // What the writer wrote is JSON; null would only hide a defect that tests look for.
    return (try? JSONValue.parse(writer.bytes)) ?? .null
}

extension JSONWriter {
    fileprivate mutating func data(_ event: LedgerEvent) { raw(event.data) }
}

extension StepDefinition {
    fileprivate var audited: JSONValue {
        json { writer in
            writer.beginObject()
            writer.members(of: self)
            writer.endObject()
        }
    }
}

extension ScoreValue {
    fileprivate var text: String {
        switch self {
        case .number(let number): shortestForm(of: number)
        case .boolean(let flag): "\(flag)"
        }
    }
}

extension [FieldChange] {
    fileprivate func audited(_ what: String) -> AuditedChange {
        let fields = map { $0.field.rawValue.split(separator: "/").last ?? "" }
        return AuditedChange(
            summary: "\(what): \(fields.joined(separator: ", ")) changed",
            before: .object(map { .init($0.field.rawValue, $0.before) }),
            after: .object(map { .init($0.field.rawValue, $0.after) }))
    }
}

extension WebhookChange {
    fileprivate func audited(_ id: String) -> AuditedChange {
        func change(
            _ what: String, _ before: JSONValue = .null, _ after: JSONValue = .null
        ) -> AuditedChange {
            AuditedChange(summary: "webhook \(id) \(what)", before: before, after: after)
        }
        func status(_ text: String) -> JSONValue { .object([.init("status", .string(text))]) }
        switch self {
        case .created(let settings, _, _): return change("created", .null, settings.audited)
        case .updated(let before, let after):
            return change("updated", before.audited, after.audited)
        case .secretRotated(_, let until):
            return change(
                "secret rotated", .null,
                .object([.init("previousUntil", .string(until.description))]))
        case .paused: return change("paused", status("active"), status("paused"))
        case .resumed(let from): return change("resumed", status(from), status("active"))
        case .disabled(let reason):
            return change("disabled: \(reason)", status("active"), status("disabled"))
        case .removed(let last): return change("removed", last.audited)
        case .replayRequested(let replay):
            return change(
                "replay \(replay.number) of positions \(replay.from) to \(replay.through) requested",
                .null, status("running"))
        case .replayCancelled(let number):
            return change("replay \(number) cancelled", status("running"), status("cancelled"))
        case .replayCompleted(let number):
            return change("replay \(number) completed", status("running"), status("completed"))
        case .redelivered(let positions):
            let numbers = positions.map { JSONValue.number(JSONNumber($0)) }
            return change(
                "\(positions.count) set-aside events to be delivered again", .null,
                .object([.init("positions", .array(numbers))]))
        }
    }
}

extension WebhookSettings {
    fileprivate var audited: JSONValue {
        json { writer in
            writer.beginObject()
            writer.members(of: self)
            writer.endObject()
        }
    }
}

extension ExperimentChange {
    fileprivate func audited(_ id: ResourceID) -> AuditedChange {
        switch self {
        case .created(var experiment):
            experiment.provenance.resourceVersion = 1
            return AuditedChange(
                summary: "experiment \(id) created", before: .null,
                after: json { $0.document(experiment) })
        case .updated(let changes): return changes.audited("experiment \(id)")
        case .variantAdded(let variant):
            return AuditedChange(
                summary: "variant \(variant.id) added", before: .null,
                after: json { $0.variant(variant) })
        case .variantUpdated(let before, let after):
            return AuditedChange(
                summary: "variant \(after.id) changed", before: json { $0.variant(before) },
                after: json { $0.variant(after) })
        case .variantRemoved(let variant):
            return AuditedChange(
                summary: "variant \(variant.id) removed", before: json { $0.variant(variant) },
                after: .null)
        case .cohortAdded(let cohort):
            return AuditedChange(
                summary: "cohort \(cohort.index) added", before: .null,
                after: json { $0.cohort(cohort) })
        case .activated(let from): return status("activated", from, .active)
        case .winnerDeclared(let variant, let previous, let from):
            return AuditedChange(
                summary: "winner declared: \(variant)",
                before: .object([
                    .init("status", .string(from.rawValue)),
                    .init("winningVariant", previous.map { .string($0.text) } ?? .null),
                ]),
                after: .object([
                    .init("status", .string(ExperimentStatus.winnerDeclared.rawValue)),
                    .init("winningVariant", .string(variant.text)),
                ]))
        case .ended(let reason, let from):
            return AuditedChange(
                summary: "ended: \(reason.rawValue)",
                before: .object([.init("status", .string(from.rawValue))]),
                after: .object([
                    .init("status", .string(ExperimentStatus.ended.rawValue)),
                    .init("endedReason", .string(reason.rawValue)),
                ]))
        case .archived(let from): return status("archived", from, .archived)
        case .reopened(let to, let reason, let from): return status("reopened: \(reason)", from, to)
        }
    }

    private func status(
        _ summary: String, _ from: ExperimentStatus, _ to: ExperimentStatus
    ) -> AuditedChange {
        AuditedChange(
            summary: summary, before: .object([.init("status", .string(from.rawValue))]),
            after: .object([.init("status", .string(to.rawValue))]))
    }
}
