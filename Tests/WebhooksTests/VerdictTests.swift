import Testing

@testable import Curl
@testable import Domain
@testable import Webhooks

@Suite struct VerdictTests {
    private static let now = Timestamp.at(0)

    private func verdict(_ status: Int, retryAfter: String? = nil) -> Verdict {
        var outcome = Outcome()
        outcome.status = status
        outcome.retryAfter = retryAfter
        return Verdict(outcome, now: Self.now)
    }

    private func failure(_ status: Int, retryAfter: String? = nil) throws -> Verdict.Failure {
        guard case .failed(let failure) = verdict(status, retryAfter: retryAfter) else {
            throw NotFailed()
        }
        return failure
    }

    private struct NotFailed: Error {}

    @Test(arguments: [200, 201, 202, 204, 299])
    func anAnswerOfSuccessIsADelivery(status: Int) {
        #expect(verdict(status) == .delivered)
    }

    @Test(arguments: [400, 409, 413, 415, 422])
    func whatSpeaksOfTheContentRefusesIt(status: Int) {
        #expect(verdict(status) == .refused("answered \(status)"))
    }

    @Test func aGoneEndpointIsNoMore() { #expect(verdict(410) == .gone("answered 410")) }

    @Test(arguments: [300, 301, 302, 307, 308])
    func redirectsAreFailuresOfTheEndpoint(status: Int) throws {
        let failure = try failure(status)
        #expect(failure.reason.contains("not followed"))
        #expect(!failure.mayBeContent)
    }

    @Test(arguments: [401, 403, 404, 405, 500, 501, 502, 504])
    func anyOtherAnswerIsAFailureThatMayBeTheContentsAfterAll(status: Int) throws {
        #expect(try failure(status) == .init(reason: "answered \(status)", mayBeContent: true))
    }

    @Test func whoIsOverloadedIsNotBlamedOnTheContent() throws {
        for status in [408, 429] {
            #expect(try failure(status) == .init(reason: "answered \(status)", isOverload: true))
        }
        let failure = try failure(503, retryAfter: "7")
        #expect(failure == .init(reason: "answered 503", retryAfter: .seconds(7)))
    }

    @Test func onlyTwoAnswersCanAskForAWait() throws {
        #expect(try failure(429, retryAfter: "120").retryAfter == .seconds(120))
        #expect(try failure(503, retryAfter: "120").retryAfter == .seconds(120))
        #expect(try failure(500, retryAfter: "120").retryAfter == nil)
    }

    @Test(arguments: [
        ("0", Duration.zero), ("7", .seconds(7)), ("99999999999", .seconds(1 << 32)),
        ("Thu, 01 Jan 2026 00:01:30 GMT", .seconds(90)),
        ("Fri, 02 Jan 2026 00:00:00 GMT", .seconds(86_400)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", .zero),
    ])
    func aWaitIsAskedForInSecondsOrUntilADate(text: String, wait: Duration) {
        #expect(Duration(retryAfter: text, Self.now) == wait)
    }

    @Test(arguments: [
        "", "-1", "soon", "1.5", "Thu, 01 Jan 2026 00:01:30", "Thu, 32 Jan 2026 00:01:30 GMT",
        "Thu, 01 Foo 2026 00:01:30 GMT", "2026-01-01T00:01:30Z",
    ])
    func whatIsNeitherAsksForNothing(text: String) {
        #expect(Duration(retryAfter: text, Self.now) == nil)
    }

    @Test func aRequestThatDidNotEndWellFailedWhateverItsStatus() {
        var outcome = Outcome()
        outcome.status = 200
        outcome.error = CurlError(kind: .broken, description: "it broke")
        #expect(Verdict(outcome, now: Self.now) == .failed(.init(reason: "it broke")))
        outcome.error = CurlError(kind: .timedOut, description: "too slow")
        #expect(
            Verdict(outcome, now: Self.now) == .failed(.init(reason: "too slow", isOverload: true)))
    }
}
