import Testing

@testable import Webhooks

@Suite struct BodyCacheTests {
    private var cache = BodyCache()

    private func key(_ positions: [Int64], form: String = "ndjson") -> BodyCache.Key {
        BodyCache.Key(form: form, positions: positions)
    }

    private func body(megabytes: Int) -> EncodedBody {
        EncodedBody([UInt8](repeating: 0, count: megabytes << 20), compresses: false)
    }

    @Test mutating func aBodyIsFoundForTheSameEventsInTheSameFormAlone() {
        let body = EncodedBody([1, 2, 3], compresses: false)
        cache.insert(body, for: key([1, 2, 4]))
        #expect(cache[key([1, 2, 4])] === body)
        #expect(cache[key([1, 3, 4])] == nil)
        #expect(cache[key([1, 2, 4, 5])] == nil)
        #expect(cache[key([1, 2, 4], form: "ndjson gzip")] == nil)
    }

    @Test mutating func whatCameFirstIsForgottenFirst() {
        for position in 1...9 { cache.insert(body(megabytes: 1), for: key([Int64(position)])) }
        let left = (1...9).filter { cache[key([Int64($0)])] != nil }
        #expect(left == [5, 6, 7, 8, 9])
    }

    @Test mutating func howeverManySmallOnesComeBeforeLargeOnesMemoryIsBounded() {
        for position in 1...1_000 {
            cache.insert(EncodedBody([0], compresses: false), for: key([Int64(position)]))
        }
        for position in 1_001...1_020 {
            cache.insert(body(megabytes: 1), for: key([Int64(position)]))
            let large = (1_001...position).filter { cache[key([Int64($0)])] != nil }
            #expect(large.count <= 8)
        }
    }

    @Test mutating func whatIsTooLargeToShareIsNotKept() {
        cache.insert(body(megabytes: 2), for: key([1]))
        #expect(cache[key([1])] == nil)
    }
}
