import Domain
import Postgres

/// What the log calls subjects where some experiments seal them: found out before a command is
/// submitted, and before something is read.
struct SealedNames: Sendable {
    private let sealed: Set<ResourceID>
    private let entries: [ExactText: SubjectKeys.Entry]

    /// Where no experiment concerned seals its subjects.
    static let none = SealedNames(sealed: [], entries: [:])

    init(sealed: Set<ResourceID>, entries: [ExactText: SubjectKeys.Entry]) {
        self.sealed = sealed
        self.entries = entries
    }

    /// Nil where the subject is sealed and has no key, hence nothing in the log.
    func unit(_ question: EventLog.Question) -> UnitKey? {
        guard sealed.contains(question.experiment) else {
            return UnitKey(experiment: question.experiment, subject: question.subject)
        }
        return entries[ExactText(question.subject)].map {
            UnitKey(experiment: question.experiment, subject: $0.token)
        }
    }

    func question(_ question: EventLog.Question) -> SealedQuestion {
        let entry = sealed.contains(question.experiment) ? entry(of: question.subject) : nil
        return SealedQuestion(
            experiment: question.experiment, subject: question.subject, seal: entry?.seal)
    }

    func entry(of subject: String) -> SubjectKeys.Entry? { entries[ExactText(subject)] }
}

extension EventLog {
    // MARK: Names

    /// The names of subjects that have one already.
    func sealedNames(of asked: [Question], _ state: State) async throws -> SealedNames {
        guard state.sealsSubjects else { return .none }
        return try await names(of: asked, state, making: false)
    }

    private func names(
        of asked: [Question], _ state: State, making: Bool
    ) async throws -> SealedNames {
        let concerned = asked.filter { state.experiments[$0.experiment]?.isSealed == true }
        guard !concerned.isEmpty else { return .none }
        guard let subjectKeys else { throw SubjectKeysError.noKeys }
        // Now, not as of the state: a seal must not be good for longer than is known here.
        let entries = try await subjectKeys.entries(
            of: concerned.map(\.subject), making: making, erasedPosition: view.erasedPosition)
        return SealedNames(sealed: Set(concerned.map(\.experiment)), entries: entries)
    }

    /// What the log calls a subject in an experiment now; nil where it has nothing of it.
    package func unit(_ experiment: ResourceID, _ subject: String) async throws -> UnitKey? {
        try await sealedNames(of: [(experiment, subject)], view.snapshot.state)
            .unit((experiment, subject))
    }

    /// What the log calls a subject in each of these experiments, where it may have something.
    package func units(
        of subject: String, in experiments: [ResourceID]
    ) async throws -> [(ResourceID, UnitKey)] {
        let asked = experiments.map { (experiment: $0, subject: subject) }
        let names = try await sealedNames(of: asked, view.snapshot.state)
        return asked.compactMap { question in
            names.unit(question).map { (question.experiment, $0) }
        }
    }

    /// The subjects' IDs behind tokens; nil on a node without keys.
    package func openedSubjects(
        _ sealed: [(token: String, ciphertext: String)]
    ) async throws -> [String: String]? {
        guard let subjectKeys else { return nil }
        return try await subjectKeys.open(sealed)
    }

    // MARK: Commands

    /// Get-or-create in an experiment that seals its subjects; nil where it does not.
    func assignSealed(
        _ id: ResourceID, _ subjects: [String], _ context: CommandContext
    ) async throws -> Receipt? {
        guard let experiment = view.snapshot.state.experiments[id], experiment.isSealed else {
            return nil
        }
        let problems = experiment.status == .active ? subjectProblems(subjects) : []
        guard problems.isEmpty else { throw Refusal.invalid(problems) }
        return try await assignSealed(subjects.map { (id, $0) }, context)
    }

    /// Get-or-create for one subject in many experiments.
    package func assign(
        _ subject: String, in experiments: [ResourceID], context: CommandContext
    ) async throws -> Receipt {
        let state = view.snapshot.state
        guard state.sealsSubjects, experiments.contains(where: { state.needsSeal($0) }) else {
            return try await sequencer.submit(
                .assignSubject(subject, experiments: experiments), context)
        }
        guard isValidSubject(subject) else {
            throw Refusal.invalid([Problem("/subject", subjectRule)])
        }
        return try await assignSealed(experiments.map { ($0, subject) }, context)
    }

    private func assignSealed(
        _ asked: [Question], _ context: CommandContext
    ) async throws -> Receipt {
        let context = keyed(context)
        for _ in 0..<Limits.sealAttemptsMax {
            let state = view.snapshot.state
            // Whoever gives no variants needs to know nobody.
            let active = asked.filter { state.experiments[$0.experiment]?.status == .active }
            // On another node the leader makes them.
            let names = try await names(of: active, state, making: isLeading)
            let questions = asked.map { names.question($0) }
            if context.idempotency == nil,
                let settled = try await recalled(
                    { view.settled(questions) }, questions.map(\.unit))
            {
                sequencer.metrics.cacheHits.increment(by: questions.count)
                var receipt = Receipt()
                receipt.assignments = settled
                receipt.position = view.position
                return receipt
            }
            if let receipt = try await submit(.assignSealed(questions), context) {
                return receipt
            }
        }
        throw SubjectKeysError.beingErased
    }

    /// Records scores, also of sealed subjects.
    package func record(
        _ scores: [ScoreRequest], context: CommandContext
    ) async throws -> Receipt {
        guard view.sealsSubjects else {
            return try await sequencer.submit(.score(scores), context)
        }
        let state = view.snapshot.state
        let namesSealed = scores.contains { score in
            score.question.map { state.experiments[$0.experiment]?.isSealed == true } ?? false
        }
        let context = namesSealed ? keyed(context) : context
        for _ in 0..<Limits.sealAttemptsMax {
            let names = try await names(
                of: scores.compactMap { $0.question }, view.snapshot.state, making: isLeading)
            let sealed = try scores.map { try $0.sealed(names) }
            if let receipt = try await submit(.score(sealed), context) { return receipt }
        }
        throw SubjectKeysError.beingErased
    }

    /// The same, with a digest of the request that gives no subject away to whoever tries all IDs.
    private func keyed(_ context: CommandContext) -> CommandContext {
        var context = context
        if let request = context.idempotency?.request, let subjectKeys {
            context.idempotency?.request = subjectKeys.keyed(request)
        }
        return context
    }

    /// Submits a command that names sealed subjects; nil where their names have to be found anew,
    /// since an erasure has outrun it.
    private func submit(
        _ command: Command, _ context: CommandContext
    ) async throws(SequencerError) -> Receipt? {
        do {
            return try await sequencer.submit(command, context)
        } catch {
            if case .refused(let refusal) = error, refusal.kind == .staleSeal { return nil }
            throw error
        }
    }
}

extension State {
    /// Whether the experiment gives variants to subjects that it seals.
    fileprivate func needsSeal(_ id: ResourceID) -> Bool {
        experiments[id].map { $0.isSealed && $0.status == .active } ?? false
    }
}

extension ScoreRequest {
    /// Nil for a run.
    fileprivate var question: EventLog.Question? {
        guard case .managed(let id) = unit.experiment else { return nil }
        return (id, unit.unit)
    }

    /// The same as the log is to have it.
    fileprivate func sealed(_ names: SealedNames) throws -> ScoreRequest {
        guard let question, let seal = names.question(question).seal,
            let entry = names.entry(of: question.subject)
        else { return self }
        var score = self
        score.seal = seal
        score.unit = UnitKey(experiment: question.experiment, subject: seal.token)
        if let metadata {
            let text = try entry.key.seal(metadata, .metadata, seal.token)
            score.metadata = Array(#"{"sealed":"\#(text)"}"#.utf8)
        }
        return score
    }
}
