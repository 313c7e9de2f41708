extension Decider {
    /// Get-or-create for many subjects of one experiment.
    mutating func assign(_ id: ResourceID, _ subjects: [String]) throws(Refusal) {
        guard let experiment = state.experiments[id] else { throw .unknownExperiment(id.text) }
        if experiment.status == .active {
            var problems: [Problem] = []
            for (index, subject) in subjects.enumerated() where !isValidSubject(subject) {
                problems.append(Problem("/subjects/\(index)", subjectRule))
            }
            guard problems.isEmpty else { throw .invalid(problems) }
        }
        for subject in subjects { assign(subject, experiment) }
    }

    /// Get-or-create for one subject in many experiments.
    mutating func assign(_ subject: String, _ ids: [ResourceID]) throws(Refusal) {
        let anyActive = ids.contains { state.experiments[$0]?.status == .active }
        if anyActive && !isValidSubject(subject) {
            throw .invalid([Problem("/subject", subjectRule)])
        }
        for id in ids {
            if let experiment = state.experiments[id] {
                assign(subject, experiment)
            } else {
                answer(
                    AssignmentAnswer(
                        experiment: id, subject: subject, reason: .notFound,
                        position: nextPosition - 1))
            }
        }
    }

    private mutating func assign(_ subject: String, _ experiment: Experiment) {
        let key = UnitKey(experiment: experiment.id, subject: subject)
        if let settled = experiment.answer(
            to: subject, existing: experiment.status == .active ? facts.placements[key] : nil)
        {
            answer(settled)
            return
        }
        guard let cohort = experiment.cohorts.last else { return }
        let u = drawNumber(experiment: experiment.id, cohort: cohort.index, subject: subject)
        let variant = cohort.variant(at: u)
        answer(
            AssignmentAnswer(
                experiment: experiment.id, subject: subject, variant: variant.text,
                cohort: cohort.index, reason: .new, position: nextPosition))
        record(
            .assignmentMade(
                AssignmentMade(
                    experiment: experiment.id, subject: subject,
                    subjectType: experiment.subjectType, variant: variant,
                    cohort: cohort.index, u: u)))
    }
}

/// What a subject ID may be, as an error message says it.
package let subjectRule =
    "A subject ID is 1 to \(Limits.subjectBytesMax) bytes of UTF-8 without U+0000."

extension Experiment {
    /// The answer that needs no new event; nil where an active experiment has to draw.
    package func answer(to subject: String, existing: Placement?) -> AssignmentAnswer? {
        func answer(
            _ reason: AssignmentReason, _ variant: String? = nil, _ cohort: Int? = nil,
            at position: Int64? = nil
        ) -> AssignmentAnswer {
            AssignmentAnswer(
                experiment: id, subject: subject, variant: variant, cohort: cohort, reason: reason,
                position: position ?? statusPosition)
        }
        switch status {
        case .draft: return answer(.notActive)
        case .winnerDeclared: return answer(.winner, winner?.text)
        case .ended: return answer(.ended)
        case .archived: return answer(.archived)
        case .active:
            guard let existing else { return nil }
            return answer(.existing, existing.variant, existing.cohort, at: existing.position)
        }
    }
}
