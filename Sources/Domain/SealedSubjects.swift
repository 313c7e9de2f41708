/// What the log says in place of a subject of an experiment that seals its subjects.
///
/// Each subject has a random key of its own, which stands outside the log and can be destroyed. The
/// token is a keyed hash of the subject's ID and takes its place in streams, draws and data; the
/// ciphertext is the ID, which only that key opens. To decisions both are texts like any other.
package struct Seal: Sendable, Equatable {
    package var token: String
    package var ciphertext: String
    /// The last erasure known when the key was looked up: after a later one it may be no more.
    package var position: Int64

    package init(token: String, ciphertext: String, position: Int64) {
        self.token = token
        self.ciphertext = ciphertext
        self.position = position
    }
}

/// A subject's place in a managed experiment that is asked for.
package struct SealedQuestion: Sendable, Equatable {
    package var experiment: ResourceID
    /// As it is asked for, and answered.
    package var subject: String
    /// Nil where the experiment does not seal its subjects, or needs to know none.
    package var seal: Seal?

    package init(experiment: ResourceID, subject: String, seal: Seal?) {
        self.experiment = experiment
        self.subject = subject
        self.seal = seal
    }

    /// What the log calls it.
    package var unit: UnitKey { UnitKey(experiment: experiment, subject: seal?.token ?? subject) }
}

/// A sealed subject that is to be erased.
package struct ErasureRequest: Sendable, Equatable {
    package var token: String
    package var reason: String?

    package init(token: String, reason: String?) {
        self.token = token
        self.reason = reason
    }
}

/// What the log holds of a sealed subject.
package struct KnownSubject: Sendable, Equatable {
    package var experiments: Set<ResourceID>
    /// Whether the log says that it is erased.
    package var isErased: Bool

    package init(experiments: Set<ResourceID> = [], isErased: Bool = false) {
        self.experiments = experiments
        self.isErased = isErased
    }
}

extension Decider {
    /// Refuses a name that was found under other circumstances than now: without a seal where
    /// subjects are sealed, with one where they are not, or with a key that may be destroyed.
    ///
    /// - Parameter always: Whether the subject matters also while the experiment is not active.
    func check(_ seal: Seal?, _ id: ResourceID, always: Bool = false) throws(Refusal) {
        guard let experiment = state.experiments[id] else { return }
        if let seal {
            guard experiment.isSealed, seal.position >= state.erasedPosition else {
                throw .staleSeal
            }
        } else if experiment.isSealed, always || experiment.status == .active {
            throw .staleSeal
        }
    }

    /// Records that a subject is erased, once; from then on older seals are refused.
    mutating func erase(_ request: ErasureRequest?) throws(Refusal) {
        guard let request else { throw Refusal(.notFound, "There is nothing to erase.") }
        let known = facts.sealedSubjects[request.token] ?? KnownSubject()
        if known.isErased { return }
        let experiments = state.experiments.values.filter { experiment in
            experiment.isSealed
                && (known.experiments.contains(experiment.id)
                    || holdsUnit(UnitKey(experiment: experiment.id, subject: request.token)))
        }
        facts.sealedSubjects[request.token, default: known].isErased = true
        record(
            .subjectErased(
                SubjectErased(
                    token: request.token, reason: request.reason,
                    experiments: experiments.map(\.id).sorted())))
    }

    /// Whether decisions of the same commit have recorded something of the unit.
    private func holdsUnit(_ unit: UnitKey) -> Bool {
        facts.placements[unit] != nil || facts.unattributed[unit] != nil
    }
}

extension Refusal {
    static let staleSeal = Refusal(
        .staleSeal,
        "A subject was erased, or the experiment began to seal its subjects, while this request was "
            + "on its way. Nothing was recorded; send it again.")
}

extension ScoreRequest {
    /// What is scored, as a message names it: of a sealed subject nobody should read the ID in one.
    var unitText: String {
        seal.map { "the subject, which the log calls \($0.token)," } ?? unit.text
    }
}
