package javax.annotation;

/** Replaces the library of this annotation, which generated classes have. It has no effect. */
public @interface Generated {
  String[] value();

  String date() default "";

  String comments() default "";
}
