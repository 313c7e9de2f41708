import Domain
import JSON
import Postgres

/// What the erasure of a subject came to.
package struct Erasure: Sendable {
    package let token: String
    /// Of the event that says so.
    package let position: Int64
    /// Experiments whose data of the subject can't be read any more.
    package let experiments: [ResourceID]
    /// Experiments that hold the subject's ID in plain text, and go on to.
    package let plainExperiments: [ResourceID]

    /// - Parameter event: Where it is, and its data.
    init(
        _ event: (position: Int64, data: [UInt8])?, _ token: String, _ plain: [ResourceID]
    ) {
        self.token = token
        position = event?.position ?? 0
        let data = event.flatMap { try? JSONValue.parse($0.data) }
        experiments = (data?["experiments"]?.array ?? []).compactMap { name in
            name.string.flatMap { ResourceID($0) }
        }
        plainExperiments = plain
    }
}

/// Erasing a subject, in steps that can be taken again after a crash:
///
/// 1. Its key is marked: nobody gets it any more, and the mark says what is left to be done.
/// 2. `SubjectErased` is recorded. Commands that were sealed before are refused from here on, and
///    sealed anew.
/// 3. The key and the kept answers that name the subject are deleted, in one transaction.
///
/// Whoever leads completes what stands at a mark for longer than a request takes.
extension EventLog {
    /// Destroys a subject's key.
    ///
    /// - Parameter idempotency: The client's key, and what makes the answer that is kept under it.
    package func erase(
        _ subject: String, reason: String?, _ who: CommandContext,
        idempotency: (key: String, answer: @Sendable (Erasure) -> [UInt8])?
    ) async throws -> ErasureAnswer {
        guard isLeading else { throw SequencerError.notLeading }
        guard let subjectKeys else { throw SubjectKeysError.noKeys }
        for (name, text) in [
            ("reason", reason), ("X-Correlation-ID", who.correlation),
            ("Idempotency-Key", idempotency?.key),
        ] where subject.utf8.count >= Self.tellingBytesMin && text?.contains(subject) == true {
            throw Refusal.invalid([
                Problem("/\(name)", "\(name) is kept, so it must not name the subject.")
            ])
        }
        let begun = try await subjectKeys.beginErasing(subject, reason: reason, actor: who.actor)
        let token = begun?.token ?? ""
        let plain = try await plainExperiments(holding: subject)
        var context = who
        if let idempotency {
            context.idempotency = .init(
                key: idempotency.key,
                request: subjectKeys.requestDigest(of: subject, reason: reason),
                answer: { receipt in
                    let event = receipt.events.first.map { ($0.position, $0.data) }
                    return idempotency.answer(Erasure(event, token, plain))
                })
        }
        guard let begun else {
            try await subjectKeys.forgetAnswers(naming: subject)
            if let answer = try await repeated(context) { return .replayed(answer) }
            throw Refusal.nothingSealed(plain)
        }
        let receipt = try await complete(begun, context)
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        let event = try await reader.events(
            after: 0, through: .max, limit: 1,
            matching: EventFilter(stream: StreamName.subject(begun.token))
        ).events.first.map { ($0.position, $0.data) }
        return .erased(Erasure(event, begun.token, plain))
    }

    /// Bytes of an ID from which on it is hardly in another text by chance.
    private static let tellingBytesMin = 4

    /// The first answer to a request whose subject is unknown by now, if it came before.
    private func repeated(_ context: CommandContext) async throws -> [UInt8]? {
        guard context.idempotency != nil else { return nil }
        do throws(SequencerError) {
            // Repetitions are found before anything is decided.
            return try await sequencer.submit(.erase(nil), context).replayedAnswer
        } catch {
            if case .refused(let refusal) = error, refusal.kind == .notFound { return nil }
            throw error
        }
    }

    /// Records that the subject is erased, and destroys its key.
    private func complete(
        _ begun: SubjectKeys.Begun, _ context: CommandContext
    ) async throws -> Receipt {
        let receipt = try await sequencer.submit(
            .erase(ErasureRequest(token: begun.token, reason: begun.reason)), context)
        try await subjectKeys?.destroy(
            begun.subject, begun.token, sparing: context.idempotencyKey)
        return receipt
    }

    /// Completes erasures that a crash has interrupted.
    ///
    /// - Returns: how many.
    @discardableResult
    package func completeErasures() async throws -> Int {
        guard let subjectKeys, isLeading else { return 0 }
        let abandoned = try await subjectKeys.abandonedErasures()
        for begun in abandoned {
            _ = try await complete(begun, CommandContext(actor: begun.actor))
        }
        return abandoned.count
    }

    /// Experiments that don't seal their subjects and have something of this one.
    private func plainExperiments(holding subject: String) async throws -> [ResourceID] {
        guard isValidSubject(subject) else { return [] }
        let ids = view.snapshot.state.experiments.values.filter { !$0.isSealed }.map(\.id).sorted()
        let names = ids.flatMap { id in
            let unit = UnitKey(experiment: id, subject: subject)
            return [unit.stream, StreamName.unattributed(unit)]
        }
        let found = try await reader.pool.run { try LookUp.existing(names, $0) }
        return Set(found.map { ids[$0 / 2] }).sorted()
    }
}

/// The answer to a request to erase a subject.
package enum ErasureAnswer: Sendable {
    case erased(Erasure)
    /// The first answer to a request that came again.
    case replayed([UInt8])
}

extension Refusal {
    /// - Parameter plain: Experiments that hold the subject in plain text.
    fileprivate static func nothingSealed(_ plain: [ResourceID]) -> Refusal {
        let names = plain.map(\.text).joined(separator: ", ")
        let also =
            plain.isEmpty
            ? "" : " It stands in plain text in \(names), where it can't be erased."
        return Refusal(
            .notFound,
            "No experiment that seals its subjects knows this one: nothing to erase.\(also)")
    }
}
