package fastmar.front;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;

/** The key of one API, compared in a time that does not depend on how much of a guess is right. */
final class Keys {
    private static final String BEARER = "Bearer ";
    private static final String BASIC = "Basic ";
    private final byte[] expected;

    /** null for an API that needs no key. */
    Keys(String key) {
        expected = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
    }

    /** Whether an Authorization header, which may be null, opens the API. */
    boolean admit(String header) {
        if (expected == null) {
            return true;
        }
        byte[] given = given(header);
        return given != null && MessageDigest.isEqual(given, expected);
    }

    /** The key in a header: after Bearer, or the password after Basic, which is how browsers send one. */
    private static byte[] given(String header) {
        if (header == null) {
            return null;
        }
        if (header.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            return header.substring(BEARER.length()).strip().getBytes(StandardCharsets.UTF_8);
        }
        if (!header.regionMatches(true, 0, BASIC, 0, BASIC.length())) {
            return null;
        }
        try {
            byte[] decoded = Base64.getDecoder().decode(header.substring(BASIC.length()).strip());
            String pair = new String(decoded, StandardCharsets.UTF_8);
            return pair.substring(pair.indexOf(':') + 1).getBytes(StandardCharsets.UTF_8);
        } catch (IllegalArgumentException notBase64) {
            return null;
        }
    }
}
