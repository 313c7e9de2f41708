import Glibc

/// The kernel's random numbers, fetched many at a time: a system call for each would cost more than
/// all else that an event's ID takes.
struct EventIDRandomness: RandomNumberGenerator {
    private static let wordsPerFetch = 32

    private var words: [UInt64] = []

    mutating func next() -> UInt64 {
        if let word = words.popLast() { return word }
        return fetch()
    }

    private mutating func fetch() -> UInt64 {
        words = Array(repeating: 0, count: Self.wordsPerFetch)
        let bytes = words.count * MemoryLayout<UInt64>.size
        // Up to 256 bytes can't fail, but on a kernel that has no such call.
        guard getentropy(&words, bytes) == 0 else {
            fatalError("getentropy: \(String(cString: strerror(errno)))")
        }
        return words.removeLast()
    }
}
