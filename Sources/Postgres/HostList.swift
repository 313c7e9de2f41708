import CPostgres
import Synchronization

/// The servers a connection string names, to be tried one by one.
///
/// libpq would try them itself, but has no time limit for each unless it does the waiting: a first
/// host that swallows packets would use up all the time there is.
struct HostList {
    /// How to connect to one of them.
    struct Host {
        /// `HOST:PORT`, for people.
        let name: String
        /// libpq's keywords and values.
        let settings: [Setting]
    }

    typealias Setting = (keyword: String, value: String)

    let hosts: [Host]
    /// Whether `dbname` holds a whole connection string.
    let isUnparsed: Bool
    /// The string's own limit for each host.
    private let patience: Duration?

    /// How long a host may keep the others waiting.
    private static let patienceMax = Duration.seconds(3)

    init(_ conninfo: String) {
        let settings = Self.parse(conninfo)
        patience = settings["connect_timeout"].flatMap { Int64($0) }.flatMap { seconds in
            // As libpq has it: zero means for ever, and one second is too short.
            seconds > 0 ? .seconds(max(2, seconds)) : nil
        }
        if let hosts = Self.hosts(settings) {
            self.hosts = hosts
            isUnparsed = false
        } else {
            hosts = [Host(name: "", settings: [("dbname", conninfo)])]
            isUnparsed = true
        }
    }

    /// When to give up on a host, of so many that are left with it.
    func deadline(
        left: Int, of deadline: ContinuousClock.Instant
    ) -> ContinuousClock.Instant {
        let now = ContinuousClock.now
        var share = now.duration(to: deadline)
        if left > 1 { share = min(share / left, Self.patienceMax) }
        return now + min(share, patience ?? share)
    }
}

// MARK: Taking a connection string apart

extension HostList {
    /// What the string says itself; empty where libpq can't read it, and will say so.
    private static func parse(_ conninfo: String) -> [String: String] {
        guard let options = PQconninfoParse(conninfo, nil) else { return [:] }
        defer { PQconninfoFree(options) }
        var settings: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val, value.pointee != 0 {
                settings[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        return settings
    }

    /// The hosts, if there are several and each can be asked alone.
    private static func hosts(_ settings: [String: String]) -> [Host]? {
        let lists = ["host", "hostaddr", "port"].map { list(settings[$0]) }
        let count = max(lists[0].count, lists[1].count)
        // Lists of different lengths are an error for libpq to explain, and what is preferred among
        // several can't be known from one.
        guard count > 1, lists[0].isEmpty || lists[0].count == count,
            lists[1].isEmpty || lists[1].count == count, [0, 1, count].contains(lists[2].count),
            settings["target_session_attrs"] != "prefer-standby"
        else { return nil }
        let common = settings.filter { !["host", "hostaddr", "port"].contains($0.key) }
            .map { Setting($0.key, $0.value) }
        return (0..<count).map { index in
            func part(_ list: [String]) -> String {
                list.count == 1 ? list[0] : list.isEmpty ? "" : list[index]
            }
            let (host, address, port) = (part(lists[0]), part(lists[1]), part(lists[2]))
            let name = host.isEmpty ? address : host
            return Host(
                name: "\(name.isEmpty ? "the local socket" : name):\(port.isEmpty ? "5432" : port)",
                settings: common
                    + [("host", host), ("hostaddr", address), ("port", port)]
                    .filter { !$0.1.isEmpty })
        }
    }

    private static func list(_ text: String?) -> [String] {
        text?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    }
}

// MARK: Where the last attempt led

/// Which host of a list took the last connection: mostly it takes the next one, too.
enum LastHost {
    private static let indexes = Mutex<[String: Int]>([:])

    /// The order to try the hosts in.
    static func order(_ conninfo: String, count: Int) -> [Int] {
        guard let last = indexes.withLock({ $0[conninfo] }) else { return Array(0..<count) }
        return [last] + (0..<count).filter { $0 != last }
    }

    static func remember(_ index: Int, for conninfo: String) {
        indexes.withLock { $0[conninfo] = index }
    }
}
