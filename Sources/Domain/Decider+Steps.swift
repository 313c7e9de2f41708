extension Decider {
    /// Takes one step of a lifecycle: the stored document with one thing changed, applied.
    mutating func take(_ step: LifecycleStep, _ id: ResourceID) throws(Refusal) {
        guard let experiment = state.experiments[id] else { throw .unknownExperiment(id.text) }
        var document = ExperimentDocument(experiment)
        var options = ApplyOptions()
        switch step {
        case .activate: document.move(to: .active)
        case .addCohort(let cohort): document.cohorts.append(cohort)
        case .declareWinner(let variant):
            document.move(to: .winnerDeclared)
            document.winningVariant = variant
        case .end(let reason):
            document.move(to: .ended)
            document.endedReason = reason
        case .archive(let reason):
            document.move(to: .archived)
            document.endedReason = reason ?? document.endedReason
        case .reopen(let status, let reason):
            guard status < experiment.status else {
                throw Refusal(
                    .conflict,
                    "The experiment is \(experiment.status.rawValue); reopening goes back, not to "
                        + "\(status.rawValue).")
            }
            document.move(to: status)
            if status == .winnerDeclared { document.winningVariant = experiment.winner }
            options.reopenReason = reason
        }
        do throws(Refusal) { try apply(document, options) } catch {
            throw error.pointing(step.pointer)
        }
    }
}

extension LifecycleStep {
    /// Where in the step's own request a problem is that was found in the document it led to.
    fileprivate func pointer(_ pointer: String) -> String {
        switch (self, pointer) {
        case (.addCohort, _): pointer.inside("/spec/cohorts") ?? ""
        case (.declareWinner, "/spec/winningVariant"): "/variant"
        case (.end, "/spec/endedReason"), (.archive, "/spec/endedReason"): "/reason"
        case (.reopen, "/metadata/status"), (.reopen, "/reason"): "/reason"
        case (.reopen, _): "/to"
        case (.activate, _), (.declareWinner, _), (.end, _), (.archive, _): ""
        }
    }
}

extension ExperimentDocument {
    /// Asks for a status, without the winner and the reason that go with another.
    fileprivate mutating func move(to status: ExperimentStatus) {
        self.status = status
        winningVariant = nil
        if status < .ended { endedReason = nil }
    }
}
