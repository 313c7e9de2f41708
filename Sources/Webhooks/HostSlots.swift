import DequeModule

/// Shares out how many requests a host gets at once among the endpoints on it.
///
/// Endpoints that have answered well have slots of their own, so those that don't answer can't take
/// them away. Who finds none free waits in line and gets its turn when one is.
struct HostSlots {
    private struct Line {
        var proven = 0
        var unproven = 0
        var waiting: Deque<String> = []
        var isWaiting: Set<String> = []

        var isIdle: Bool { proven == 0 && unproven == 0 && waiting.isEmpty }
    }

    private static let provenMax = 64
    /// More, as each may be held until its request times out.
    private static let unprovenMax = 512

    private var lines: [String: Line] = [:]

    /// Whether a host takes one more request.
    func hasRoom(_ host: String, isProven: Bool) -> Bool {
        guard let line = lines[host] else { return true }
        return isProven ? line.proven < Self.provenMax : line.unproven < Self.unprovenMax
    }

    /// Whether others wait for the host: then each gets one request at a time.
    func isCrowded(_ host: String) -> Bool { lines[host].map { !$0.waiting.isEmpty } ?? false }

    mutating func start(_ host: String, isProven: Bool) {
        if isProven {
            lines[host, default: Line()].proven += 1
        } else {
            lines[host, default: Line()].unproven += 1
        }
    }

    mutating func wait(_ host: String, _ endpoint: String) {
        if lines[host, default: Line()].isWaiting.insert(endpoint).inserted {
            lines[host]?.waiting.append(endpoint)
        }
    }

    mutating func end(_ host: String, isProven: Bool) {
        if isProven { lines[host]?.proven -= 1 } else { lines[host]?.unproven -= 1 }
        if lines[host]?.isIdle ?? false { lines[host] = nil }
    }

    /// The endpoint whose turn it is at a host; it no longer waits.
    mutating func next(_ host: String) -> String? {
        guard let endpoint = lines[host]?.waiting.popFirst() else { return nil }
        lines[host]?.isWaiting.remove(endpoint)
        return endpoint
    }
}
