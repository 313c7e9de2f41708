extension Decider {
    /// Get-or-create for many subjects of one experiment.
    mutating func assign(_ id: ResourceID, _ subjects: [String]) throws(Refusal) {
        guard let experiment = state.experiments[id] else { throw .unknownExperiment(id.text) }
        if experiment.status == .active {
            let problems = subjectProblems(subjects)
            guard problems.isEmpty else { throw .invalid(problems) }
            guard !experiment.isSealed else { throw .staleSeal }
        }
        for subject in subjects { assign(subject, experiment) }
    }

    /// Get-or-create for one subject in many experiments.
    mutating func assign(_ subject: String, _ ids: [ResourceID]) throws(Refusal) {
        let anyActive = ids.contains { state.experiments[$0]?.status == .active }
        if anyActive && !isValidSubject(subject) {
            throw .invalid([Problem("/subject", subjectRule)])
        }
        if state.sealsSubjects {
            for id in ids { try check(nil, id) }
        }
        for id in ids {
            if let experiment = state.experiments[id] {
                assign(subject, experiment)
            } else {
                answerNotFound(id, subject)
            }
        }
    }

    private mutating func answerNotFound(_ id: ResourceID, _ subject: String) {
        answer(
            AssignmentAnswer(
                experiment: id, subject: subject, reason: .notFound, position: nextPosition - 1))
    }

    /// Get-or-create where some of the experiments seal their subjects.
    mutating func assign(_ questions: [SealedQuestion]) throws(Refusal) {
        for question in questions { try check(question.seal, question.experiment) }
        for question in questions {
            if let experiment = state.experiments[question.experiment] {
                assign(question.subject, experiment, question.seal)
            } else {
                answerNotFound(question.experiment, question.subject)
            }
        }
    }

    private mutating func assign(
        _ asked: String, _ experiment: Experiment, _ seal: Seal? = nil
    ) {
        let subject = seal?.token ?? asked
        let key = UnitKey(experiment: experiment.id, subject: subject)
        if let settled = experiment.answer(
            to: asked, existing: experiment.status == .active ? facts.placements[key] : nil)
        {
            answer(settled)
            return
        }
        guard let cohort = experiment.cohorts.last else { return }
        let u = drawNumber(experiment: experiment.id, cohort: cohort.index, subject: subject)
        let variant = cohort.variant(at: u)
        answer(
            AssignmentAnswer(
                experiment: experiment.id, subject: asked, variant: variant.text,
                cohort: cohort.index, reason: .new, position: nextPosition))
        record(
            .assignmentMade(
                AssignmentMade(
                    experiment: experiment.id, subject: subject,
                    subjectType: experiment.subjectType, variant: variant,
                    cohort: cohort.index, u: u, sealed: seal?.ciphertext)))
    }
}

/// What is wrong with subject IDs, of which only those of an active experiment matter.
package func subjectProblems(_ subjects: [String]) -> [Problem] {
    var problems: [Problem] = []
    for (index, subject) in subjects.enumerated() where !isValidSubject(subject) {
        problems.append(Problem("/subjects/\(index)", subjectRule))
    }
    return problems
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
