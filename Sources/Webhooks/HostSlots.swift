import DequeModule

/// Shares out how many requests a host gets at once among the endpoints on it.
///
/// Who finds no slot free waits in line and gets its turn when one is. Endpoints that have answered
/// well have slots and a line of their own, so those that don't answer can't take them away.
struct HostSlots {
    /// Which slots of which host.
    struct Place: Hashable {
        let host: String
        /// Whether they are for endpoints that have answered well.
        let isProven: Bool

        /// More for the others, as each may be held until its request times out.
        fileprivate var slots: Int { isProven ? 128 : 512 }
    }

    private struct Line {
        var taken = 0
        var waiting: Deque<String> = []
        var isWaiting: Set<String> = []
    }

    private var lines: [Place: Line] = [:]

    func hasRoom(_ place: Place) -> Bool { lines[place].map { $0.taken < place.slots } ?? true }

    /// Whether others wait: then each gets one request at a time.
    func isCrowded(_ place: Place) -> Bool { lines[place].map { !$0.waiting.isEmpty } ?? false }

    mutating func take(_ place: Place) { lines[place, default: Line()].taken += 1 }

    mutating func wait(_ place: Place, _ endpoint: String) {
        if lines[place, default: Line()].isWaiting.insert(endpoint).inserted {
            lines[place]?.waiting.append(endpoint)
        }
    }

    mutating func give(back place: Place) {
        lines[place]?.taken -= 1
        if let line = lines[place], line.taken == 0, line.waiting.isEmpty { lines[place] = nil }
    }

    /// The endpoint whose turn it is; it no longer waits.
    mutating func next(_ place: Place) -> String? {
        guard let endpoint = lines[place]?.waiting.popFirst() else { return nil }
        lines[place]?.isWaiting.remove(endpoint)
        return endpoint
    }
}
