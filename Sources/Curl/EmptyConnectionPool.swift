import CCurl

/// Spares the end of each transfer a walk through all open connections.
///
/// When an easy handle that remembers its last connection leaves a multi handle, libcurl 7.88
/// looks at every connection of the multi handle, to find those that were opened with
/// `CURLOPT_CONNECT_ONLY`. Here none are. A handle forgets its last connection when it is asked
/// for its socket and the connection is not to be found; so it is asked while it looks into a
/// pool of shared connections that is always empty.
final class EmptyConnectionPool {
    private let share = EasyHandle.make(curl_share_init)

    init() {
        curl_share_connections(share)
    }

    deinit {
        curl_share_cleanup(share)
    }

    /// Makes a handle that is about to leave its multi handle forget its last connection.
    func hideLastConnection(of handle: EasyHandle) {
        handle.set(CURLOPT_SHARE, share)
        var socket = CURL_SOCKET_BAD
        curl_get_active_socket(handle.pointer, &socket)
        handle.set(CURLOPT_SHARE, nil as UnsafeRawPointer?)
    }
}
