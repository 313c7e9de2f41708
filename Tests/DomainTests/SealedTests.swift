import JSON
import Testing

@testable import Domain

@Suite struct SealedTests {
    private func experiment(
        sealed: Bool = true, status: String = "active"
    ) throws -> ResourceDocument {
        try ResourceDocument(
            .parse(
                Array(
                    """
                    {"schemaVersion":1,"kind":"experiment",
                     "metadata":{"id":"SECRET","status":"\(status)"},
                     "spec":{"sealed":\(sealed),"variants":[{"id":"A"},{"id":"B"}],"cohorts":
                      [{"index":1,"variants":[{"variant":"A","split":0.5},{"variant":"B","split":0.5}]}]}}
                    """.utf8)))
    }

    private func decider(sealed: Bool = true) throws -> Decider {
        var decider = Decider(
            state: State(), now: Timestamp(microseconds: 1_000_000), nextPosition: 1)
        _ = try decider.decide(.apply([experiment(sealed: sealed)], ApplyOptions()))
        return decider
    }

    private func seal(_ token: String = "sealed-1", at position: Int64 = 0) -> Seal {
        Seal(token: token, ciphertext: "Y2lwaGVy", position: position)
    }

    private func question(_ seal: Seal?) -> SealedQuestion {
        SealedQuestion(experiment: id("SECRET"), subject: "alice", seal: seal)
    }

    private func kind(_ body: () throws -> Void) -> Refusal.Kind? {
        do { try body() } catch { return (error as? Refusal)?.kind }
        return nil
    }

    @Test func `the event has the token and the ciphertext, the answer the subject`() throws {
        var decider = try decider()
        let decision = try decider.decide(.assignSealed([question(seal())]))
        #expect(decision.assignments.map(\.subject) == ["alice"])
        guard case .assignmentMade(let made) = decision.events[0].event else {
            Issue.record("no assignment")
            return
        }
        #expect(made.subject == "sealed-1" && made.sealed == "Y2lwaGVy")
        #expect(made.u == drawNumber(experiment: id("SECRET"), cohort: 1, subject: "sealed-1"))
        #expect(decision.events[0].event.stream == "assignment/SECRET/sealed-1")
        #expect(!String(decoding: decision.events[0].event.data, as: UTF8.self).contains("alice"))
        let again = try decider.decide(.assignSealed([question(seal())]))
        #expect(again.events.isEmpty && again.assignments[0].reason == .existing)
    }

    @Test func `an active experiment takes sealed subjects only where it seals them`() throws {
        var sealed = try decider()
        var plain = try decider(sealed: false)
        #expect(
            kind { _ = try sealed.decide(.assign(id("SECRET"), subjects: ["a"])) } == .staleSeal)
        #expect(
            kind { _ = try sealed.decide(.assignSubject("a", experiments: [id("SECRET")])) }
                == .staleSeal)
        #expect(kind { _ = try plain.decide(.assignSealed([question(seal())])) } == .staleSeal)
        let score = ScoreRequest(
            unit: UnitKey(experiment: id("SECRET"), subject: "a"), name: "n", value: .number(1))
        #expect(kind { _ = try sealed.decide(.score([score])) } == .staleSeal)
        // Whoever gives no variants needs to know nobody.
        _ = try sealed.decide(.step(id("SECRET"), .end(.other)))
        #expect(try sealed.decide(.assign(id("SECRET"), subjects: ["a"])).assignments.count == 1)
    }

    @Test func `an erasure makes all earlier seals stale, and is recorded once`() throws {
        var decider = try decider()
        _ = try decider.decide(.assignSealed([question(seal())]))
        let request = ErasureRequest(token: "sealed-1", reason: "asked")
        let decision = try decider.decide(.erase(request))
        #expect(
            decision.events.map(\.event) == [
                .subjectErased(
                    SubjectErased(token: "sealed-1", reason: "asked", experiments: [id("SECRET")]))
            ])
        let position = decider.state.erasedPosition
        #expect(position == decider.nextPosition - 1)
        #expect(kind { _ = try decider.decide(.assignSealed([question(seal())])) } == .staleSeal)
        let later = seal("sealed-2", at: position)
        #expect(try decider.decide(.assignSealed([question(later)])).events.count == 1)
        #expect(try decider.decide(.erase(request)).events.isEmpty)
        #expect(kind { _ = try decider.decide(.erase(nil)) } == .notFound)
    }

    @Test func `what is read back from its data is the same event`() throws {
        let made = LedgerEvent.assignmentMade(
            AssignmentMade(
                experiment: id("SECRET"), subject: "sealed-1", subjectType: id("ANY"),
                variant: id("A"),
                cohort: 1, u: 0.5, sealed: "Y2lwaGVy"))
        var score = ScoreRecorded(
            unit: UnitKey(experiment: id("SECRET"), subject: "sealed-1"), variant: nil, cohort: nil,
            name: "n", value: .boolean(true), occurredAt: Timestamp(microseconds: 1))
        score.sealed = "Y2lwaGVy"
        let erased = LedgerEvent.subjectErased(
            SubjectErased(token: "sealed-1", reason: nil, experiments: [id("A"), id("B")]))
        for event in [made, LedgerEvent.scoreRecorded(score), erased] {
            #expect(
                try LedgerEvent(type: event.type, data: JSONValue.parse(event.data)) == event)
        }
        #expect(erased.audited.summary == "subject sealed-1 erased")
    }

    @Test func `sealing can change in a draft that was never active`() throws {
        var decider = Decider(
            state: State(), now: Timestamp(microseconds: 1_000_000), nextPosition: 1)
        _ = try decider.decide(
            .apply([experiment(sealed: false, status: "draft")], ApplyOptions()))
        let changed = try decider.decide(
            .apply([experiment(status: "draft")], ApplyOptions()))
        #expect(changed.events.map(\.event.type) == ["ExperimentUpdated"])
        #expect(decider.state.experiments[id("SECRET")]?.isSealed == true)
        _ = try decider.decide(.apply([experiment()], ApplyOptions()))
        let reopening = ApplyOptions(reopenReason: "again")
        _ = try decider.decide(.apply([experiment(status: "draft")], reopening))
        #expect(
            kind {
                _ = try decider.decide(
                    .apply([experiment(sealed: false, status: "draft")], ApplyOptions()))
            } == .invalid)
    }
}
