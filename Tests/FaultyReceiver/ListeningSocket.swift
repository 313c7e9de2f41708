import Foundation

/// A socket that listens on a free port of 127.0.0.1.
final class ListeningSocket: Sendable {
    let port: Int
    private let descriptor: Int32

    init() {
        let descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(bind(descriptor, $0, size) == 0)
                precondition(listen(descriptor, 1_024) == 0)
                precondition(getsockname(descriptor, $0, &size) == 0)
            }
        }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    /// Waits for a connection; nil once the socket no longer accepts any.
    func accept() -> Int32? {
        let connection = Foundation.accept(descriptor, nil, nil)
        guard connection >= 0 else { return nil }
        // A subprocess that has the connection too would keep it open.
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        return connection
    }

    /// Makes `accept` return nil, on whatever thread it waits.
    func stopAccepting() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Closes the socket, which nobody may use any more.
    func close() {
        Foundation.close(descriptor)
    }
}
