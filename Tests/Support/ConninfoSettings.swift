/// The settings of a conninfo without quotes, of which the last of a name counts.
package struct ConninfoSettings: Sendable {
    private var values: [(name: Substring, value: Substring)] = []

    package init(_ conninfo: String) {
        for setting in conninfo.split(separator: " ") {
            let pair = setting.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { values.append((pair[0], pair[1])) }
        }
    }

    /// Where a server of a Unix socket listens; nil where the socket is not named.
    package var socket: StreamSocket.Address? {
        guard let host = values.last(where: { $0.name == "host" })?.value,
            let port = values.last(where: { $0.name == "port" })?.value
        else { return nil }
        return .unix(path: "\(host)/.s.PGSQL.\(port)")
    }

    /// The other settings, as a conninfo.
    package func without(_ names: Set<Substring>) -> String {
        values.filter { !names.contains($0.name) }.map { "\($0.name)=\($0.value)" }
            .joined(separator: " ")
    }
}
