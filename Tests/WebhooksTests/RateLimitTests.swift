import Domain
import Testing

@testable import Webhooks

@Suite struct RateLimitTests {
    @Test func requestsStartEvenlySpread() {
        var limit = RateLimit(perSecond: 4)
        #expect(limit.admits(.at(0)))
        limit.start(.at(0))
        #expect(limit.nextAt == .at(0.25))
        #expect(!limit.admits(.at(0.249)))
        #expect(limit.admits(.at(0.25)))
    }

    @Test func whatWasNotUsedIsNotMadeUpFor() {
        var limit = RateLimit(perSecond: 4)
        limit.start(.at(0))
        limit.start(.at(10))
        #expect(limit.nextAt == .at(10.25))
    }

    @Test func withoutALimitAnyNumberMayStart() {
        var limit = RateLimit(perSecond: nil)
        limit.start(.at(0))
        #expect(limit.nextAt == nil)
        #expect(limit.admits(.at(0)))
    }
}
