import Glibc

/// `poll` with a deadline, immune to interruptions.
enum Poll {
    /// Whether a descriptor became ready before the deadline; nil waits for ever.
    static func wait(
        _ descriptors: inout [pollfd], until deadline: ContinuousClock.Instant?
    ) -> Bool {
        while true {
            let timeout = deadline.map { milliseconds(until: $0) } ?? -1
            let ready = poll(&descriptors, nfds_t(descriptors.count), timeout)
            if ready > 0 { return true }
            if ready == 0 {
                guard let deadline, ContinuousClock.now < deadline else { return false }
            } else if errno != EINTR {
                // Only a programming error leads here: a bad address or too many descriptors.
                fatalError("poll: \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Rounded up, so that a wait does not end just before its deadline and spin.
    private static func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
        let left = ContinuousClock.now.duration(to: deadline)
        if left <= .zero { return 0 }
        let (seconds, attoseconds) = left.components
        if seconds >= 1_000_000 { return 1_000_000_000 }
        return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
