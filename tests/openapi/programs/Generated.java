package javax.annotation;

/** The annotation of generated classes, in place of its library: it has no effect. */
public @interface Generated {
  String[] value();

  String date() default "";

  String comments() default "";
}
